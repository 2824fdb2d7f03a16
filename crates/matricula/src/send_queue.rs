//! A runner for a session whose queues are durable.

use std::time::Duration;

use matricula_auth::{SessionError, session::RenewalReason};
use matricula_core::{Store, scheduler::SchedulerConfig};
use matricula_http::{BuildError, Runner};

use crate::{Session, renewal_driver};

/// The first pause after a failed renewal. It doubles with each failure.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The maximum pause.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Session {
    /// A runner for [jobs](Session::job) of this account that must not be lost. Jobs of queues are
    /// stored before they are accepted, retried for about two days, and resumed after a crash: see
    /// [`RunnerBuilder::store`](matricula_http::RunnerBuilder::store). If the server rejects the
    /// token, jobs wait until it is renewed.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn durable(&self, store: impl Store + 'static) -> Result<Runner, BuildError> {
        let session = self.clone();
        self.runner()
            .to_builder()
            .scheduler(SchedulerConfig::patient())
            .renewal(move |_| {
                let session = session.clone();
                async move { renewed(&session).await }
            })
            .store(store)
            .build()
    }
}

/// Renews the token; retries until the token is renewed or the session has ended.
async fn renewed(session: &Session) -> bool {
    let reason = RenewalReason::Refused { soft_logout: false };
    let mut wait = FIRST_WAIT;
    loop {
        let token = session.account().access_token;
        match renewal_driver::renew(session, reason, token).await {
            Ok(()) => return true,
            Err(
                SessionError::SignedOut { .. }
                | SessionError::SoftLogout { .. }
                | SessionError::NotSignedIn { .. }
                | SessionError::NoRefreshToken { .. }
                | SessionError::NoOAuthSession { .. },
            ) => return false,
            // Temporary: the server is unreachable, the disk is full, the account is locked.
            Err(_) => {
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2).min(LONGEST_WAIT);
            }
        }
    }
}
