//! Sends for a session what must not be lost.

use std::time::Duration;

use matricula_auth::{SessionError, session::RenewalReason};
use matricula_core::{Store, scheduler::SchedulerConfig};
use matricula_http::{BuildError, Runner};

use crate::{Session, renewal_driver};

/// The wait after a renewal that found no server; doubled with each one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest of those waits.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Session {
    /// A runner for [jobs](Session::job) of this account that must not be lost: those of queues are
    /// kept in the store before they are taken, tried for about two days, and go on after a crash.
    /// See [`RunnerBuilder::store`](matricula_http::RunnerBuilder::store). Where the server does not take the token any more, it is renewed as
    /// for calls, and jobs wait for that.
    ///
    /// # Errors
    /// Where the store cannot be read.
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

/// Renews the token, trying again until it is clear whether the session is over.
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
            // No server, no room on the disk, an account that is locked for now.
            Err(_) => {
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2).min(LONGEST_WAIT);
            }
        }
    }
}
