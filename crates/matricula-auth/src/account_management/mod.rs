//! Management of an existing account: its password, its addresses, its deactivation.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#account-management>.

mod deactivation;
mod password;
mod threepid;

pub use deactivation::Deactivation;
pub use password::{PasswordChange, PendingPassword};
pub use threepid::{AddThreepid, PendingThreepid, Threepid};

use matricula_api::{
    oauth::{AccountAction, AccountPage},
    uia::UiaEndpoint,
};
use matricula_core::Secret;

use crate::{Account, AccountError, UiaRequest};

/// What authenticates the person in a request: passwords and a session of an earlier run.
#[derive(Clone, Debug, Default)]
struct Credentials {
    /// Passwords to try besides the stored one; the last one is tried first.
    passwords: Vec<Secret>,
    session: Option<String>,
}

impl Credentials {
    /// The request with these. The session is used once.
    fn apply<E: UiaEndpoint + Clone>(&mut self, mut request: UiaRequest<E>) -> UiaRequest<E> {
        for password in &self.passwords {
            request = request.password(password.clone());
        }
        match self.session.take() {
            Some(session) => request.uia_session(session),
            None => request,
        }
    }
}

/// The error for an account that an OAuth 2.0 server manages: only a person can do it, on that server's
/// page.
fn needs_account_page(account: &Account, action: Option<AccountAction>) -> Option<AccountError> {
    let oauth = account.oauth.as_ref()?;
    let page = AccountPage {
        action,
        ..AccountPage::default()
    };
    Some(AccountError::AccountPageNeeded {
        issuer: oauth.issuer.clone(),
        url: oauth.account_page(&page),
    })
}
