//! What is done with an account after it was made: its password, its addresses, its end.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#account-management>.

mod address;
mod deactivation;
mod password;

pub use address::{Address, AddressAddition, PendingAddress};
pub use deactivation::Deactivation;
pub use password::{PasswordChange, PendingPassword};

use matricula_api::{
    oauth::{AccountAction, AccountPage},
    uia::Interactive,
};
use matricula_job::{Cx, Machine, Step};

use crate::{Account, AuthError, Authenticated, Effect, Event, Input};

/// Steps a conversation that is a part of another: what it wants done is passed on, and its end
/// given back.
fn step_part<E: Interactive + Clone, T>(
    part: &mut Authenticated<E>,
    cx: &mut Cx<'_>,
    input: Input,
    turn: &mut Step<Effect, Event<T>>,
) -> Option<Result<E::Response, AuthError>> {
    let step = part.step(cx, input);
    turn.effects.extend(step.effects);
    let mut result = None;
    for event in step.events {
        match event {
            Event::Notice(notice) => turn.events.push(Event::Notice(notice)),
            Event::Finished(finished) => result = Some(finished),
        }
    }
    result
}

/// Why it is not done here, where an OAuth 2.0 server keeps the account: a person does it on that
/// server's page.
fn left_to_account_page(account: &Account, action: Option<AccountAction>) -> Option<AuthError> {
    let oauth = account.oauth.as_ref()?;
    let page = AccountPage {
        action,
        ..AccountPage::default()
    };
    Some(AuthError::AccountPageNeeded {
        issuer: oauth.issuer.clone(),
        url: oauth.account_page(&page),
    })
}
