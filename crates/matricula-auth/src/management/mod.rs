//! What is done with an account after it was made: its password, its addresses, its end.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#account-management>.

mod address;
mod deactivation;
mod password;

pub use address::{AddThreepid, PendingThreepid, Threepid};
pub use deactivation::Deactivation;
pub use password::{PasswordChange, PendingPassword};

use matricula_api::{
    oauth::{AccountAction, AccountPage},
    uia::Interactive,
};
use matricula_core::{Machine, Step, StepContext};

use crate::{Account, AuthError, Effect, Event, Input, UiaRequest};

/// Steps a conversation that is a part of another: what it wants done is passed on, and its end
/// given back.
fn step_part<E: Interactive + Clone, T>(
    part: &mut UiaRequest<E>,
    cx: &mut StepContext<'_>,
    input: Input,
    turn: &mut Step<Effect, Event<T>>,
) -> Option<Result<E::Response, AuthError>> {
    let step = part.step(cx, input);
    turn.effects.extend(step.effects);
    let mut result = None;
    for event in step.events {
        match event {
            Event::Progress(notice) => turn.events.push(Event::Progress(notice)),
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
