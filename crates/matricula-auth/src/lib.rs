//! Conversations with a Matrix homeserver that end in a session.
//!
//! Each is a [`Machine`](matricula_job::Machine): [`Discovery`] finds out what a server is and
//! offers, [`Registration`] makes an account there, [`Login`] signs in to one. None does any I/O:
//! they say what to [send](Effect::Send) and what to [ask](Effect::Ask), and are told what came of it.
//!
//! After every step its `commit` is to be stored. A conversation that was stored goes on in another
//! process: read it back and step it with [`Input::Start`].

mod account;
mod address;
mod conversation;
mod discovery;
mod error;
mod login;
pub mod registration;

pub use account::{Account, tables};
pub use address::{AddressError, ServerAddress};
pub use conversation::{Conversation, Effect, Event, Input, Notice, Question, Reply};
pub use discovery::{Discovery, LoginFlow, RegistrationOffer, ServerFacts};
pub use error::{AuthError, StagesNotSupported};
pub use login::Login;
pub use registration::{Registration, Wishes};
