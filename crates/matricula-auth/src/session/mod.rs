//! A session that stays signed in: the calls in it, and the renewal of its tokens.
//!
//! Two machines share the work. A [`Call`] sends one request with a valid token, and asks for a [`Renewal`]
//! if there is none. A renewal gets the next pair of tokens once, however many calls of this and other
//! processes need it at the same time. What a process knows of its session is its [`SessionState`].
//!
//! Both have one effect at a time, and the next input answers it. These rules keep a session alive:
//!
//! - **One at a time.** A renewal takes the lock of the process, then the lock of the store, which processes
//!   share, and then reads the account again. If another renewal was faster, nothing is sent.
//! - **Durable before used.** The new pair is in the writes of the step that ends the renewal. If it cannot
//!   be stored it is not used, and the server keeps the old pair valid.
//! - **Retried.** After a lost response the old refresh token is sent again. A server accepts it until it has
//!   seen the new one.
//! - **Only a refusal ends it.** A timeout, a failure of the server or a malformed response does not. The
//!   server's response to a request with an invalid token decides whether the device is
//!   [kept](crate::SessionError::SoftLogout) or [removed](crate::SessionError::SignedOut).
//! - **Bounded.** After a failure there is a pause, which grows with each failure. A token that the server has
//!   refused is never sent again.
//!
//! Specification: [refreshing](https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens),
//! [soft logout](https://spec.matrix.org/v1.19/client-server-api/#soft-logout),
//! [locking](https://spec.matrix.org/v1.19/client-server-api/#account-locking),
//! [refreshing with OAuth 2.0](https://spec.matrix.org/v1.19/client-server-api/#refresh-token-grant).

mod call;
mod logout;
mod renewal;
mod state;
mod token_exchange;

pub use call::{Call, CallEffect, CallEvent, CallInput};
pub(crate) use logout::account_page;
pub use logout::{OAuthLogout, OAuthSession};
pub use renewal::{Renewal, RenewalEffect, RenewalEvent, RenewalInput, RenewalReason};
pub use state::{RenewalResult, SessionState};
