//! A session that stays: the calls in it, and the renewal of its tokens.
//!
//! Two machines share the work. A [`Call`] sends one request with a token that works, and asks for a
//! [`Renewal`] where there is none; a renewal gets the next pair of tokens, once, whoever else wants
//! it at that time in this process or in another. What a process knows of its session is its
//! [`SessionState`].
//!
//! Both have one effect at a time, and the next input answers it. What keeps a session alive:
//!
//! - **One at a time.** A renewal takes the turn within the process, then the lock that processes
//!   share, and then reads the account anew: where another has renewed it, nothing is sent.
//! - **Durable before used.** The new pair is in the `commit` of the step that ends the renewal. Where
//!   it cannot be stored it is not used, and the server keeps the old one alive.
//! - **Asked again.** An answer that is lost is asked for again with the old token: a server takes it
//!   until it has seen the new one.
//! - **Only a refusal ends it.** No silence, no trouble of the server's, no answer that is not
//!   understood. What the server says to a request without a token that works decides whether the device
//!   is [kept](crate::SessionError::SoftLogout) or [forgotten](crate::SessionError::SignedOut).
//! - **Bounded.** What failed is left alone for a while, and longer each time; a token that the server
//!   has refused for good is never sent again.
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
pub use logout::{OAuthLogout, OAuthSession};
pub use renewal::{Renewal, RenewalEffect, RenewalEvent, RenewalInput, RenewalReason};
pub use state::{RenewalResult, SessionState};
