//! Drives a token renewal: the lock in this process, the lock across processes, the store, the
//! server.

use std::time::Duration;

use matricula_api::UserId;
use matricula_auth::{
    ServerError, SessionError,
    session::{Renewal, RenewalEffect, RenewalEvent, RenewalInput, RenewalReason},
};
use matricula_core::{Machine, Secret, StepContext, StoreError};
use matricula_http::{SystemClock, SystemEntropy};

use crate::{AccountLock, Session};

/// The maximum wait of a renewal, even if the clock is set back.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The maximum wait for the lock of another process: the maximum duration of a renewal.
const LONGEST_LOCK: Duration = Duration::from_secs(120);
/// The first pause before the lock is tried again. It doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The maximum pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Renews this token. The renewal continues if the caller is dropped, because the server may have
/// issued a new pair already.
pub(crate) async fn renew(
    session: &Session,
    reason: RenewalReason,
    token: Option<Secret>,
) -> Result<(), SessionError> {
    let session = session.clone();
    let renewed = tokio::spawn(async move { drive(&session, Renewal::new(reason, token)).await });
    match renewed.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ServerError::Cancelled.into()),
    }
}

async fn drive(session: &Session, mut renewal: Renewal) -> Result<(), SessionError> {
    let user_id = session.account().user_id;
    let (mut _renewing, mut _lock) = (None, None);
    let mut input = RenewalInput::Start;
    loop {
        let step = renewal.step(
            &mut StepContext::new(SystemClock::now(), &mut SystemEntropy),
            input,
        );
        if !step.writes.is_empty()
            && let Err(error) = session.store_mut(|store| store.commit(&step.writes))
        {
            input = RenewalInput::StoreFailed(error.to_string());
            continue;
        }
        if let Some(RenewalEvent::Finished(settled)) = step.events.into_iter().next() {
            let before = session.account().credential();
            session.state(|state| state.apply(&settled));
            if settled.account().credential() != before {
                session.runner().credentials().remove(&before);
            }
            session.hand_over_token();
            return settled.result;
        }
        input = match step.effects.into_iter().next() {
            Some(RenewalEffect::LockProcess) => {
                _renewing = Some(session.shared().renewing.lock().await);
                let state = session.state(|state| state.clone());
                RenewalInput::ProcessLocked(Box::new(state))
            }
            Some(RenewalEffect::LockStore) => match lock(session, &user_id).await {
                Ok(lock) => {
                    _lock = Some(lock);
                    RenewalInput::StoreLocked
                }
                Err(error) => RenewalInput::StoreFailed(error.to_string()),
            },
            Some(RenewalEffect::Read) => match session.store_mut(|store| store.load(&user_id)) {
                Ok(stored) => RenewalInput::Stored(stored.map(Box::new)),
                Err(error) => RenewalInput::StoreFailed(error.to_string()),
            },
            Some(RenewalEffect::Send(job)) => {
                RenewalInput::Outcome(session.runner().run(*job).await)
            }
            Some(RenewalEffect::Wait(until)) => {
                tokio::time::sleep(until.since(SystemClock::now()).min(LONGEST_WAIT)).await;
                RenewalInput::Waited
            }
            _ => return Err(ServerError::Cancelled.into()),
        };
    }
}

/// Locks the session of this account, trying again until the lock is free, so that no thread blocks.
pub(crate) async fn lock(session: &Session, user_id: &UserId) -> Result<AccountLock, StoreError> {
    let (mut pause, mut waited) = (FIRST_PAUSE, Duration::ZERO);
    loop {
        if let Some(lock) = session.store_mut(|store| store.try_lock(user_id))? {
            return Ok(lock);
        }
        if waited >= LONGEST_LOCK {
            return Err(StoreError::new(format!(
                "another process has locked the session of {user_id} for {} s; end it, or wait for it",
                waited.as_secs()
            )));
        }
        tokio::time::sleep(pause).await;
        waited += pause;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
