//! Conversations with a Matrix homeserver that end in a session, and those that look after its account.
//!
//! Each is a [`Machine`](matricula_core::Machine): [`Discovery`] finds out what a server is and
//! offers, [`Registration`] makes an account there, [`Login`] signs in to one. Where the server delegates
//! its accounts to an OAuth 2.0 server, [`OAuthLogin`] does both, and [`OAuthLogout`] ends the
//! session. A [`session`] stays signed in on either side. What comes after is [`PasswordChange`],
//! [`AddThreepid`], [`Deactivation`], and [`UiaRequest`] for every other operation that asks
//! who is there. None does any I/O: they say what to [send](Effect::Send), what to
//! [ask](Effect::Ask) and until when to [wait](Effect::Wait), and are told what came of it.
//!
//! After every step its `commit` is to be stored, and only then are its effects to be carried out. A
//! registration that was stored goes on in another process: read it back with
//! [`Registration::from_stored`] and step it with [`Input::Start`]; an [`OAuthLogin`] likewise.
//!
//! A registration by hand, with an answer that no server gave:
//!
//! ```
//! use matricula_auth::{Effect, Event, Input, Registration, ServerInfo, RegistrationOptions};
//! use matricula_core::{
//!     Body, StepContext, Machine, Response, SeededEntropy, Timestamp, scheduler::Outcome,
//! };
//!
//! // In production: the system's clock and random bytes.
//! let (now, mut entropy) = (Timestamp::from_millis(1_700_000_000_000), SeededEntropy::new(7));
//! let facts = ServerInfo::of("https://matrix.example.org".parse()?);
//! let mut registration = Registration::new(&facts, RegistrationOptions::default());
//!
//! let step = registration.step(&mut StepContext::new(now, &mut entropy), Input::Start);
//! // 1. Store: the password that was made is in here, and nothing has been sent yet.
//! assert!(!step.writes.is_empty());
//! // 2. Only then send, and answer by the effect's id.
//! let [Effect::Send(id, job)] = &step.effects[..] else { panic!("{:?}", step.effects) };
//! assert_eq!(job.url(), "https://matrix.example.org/_matrix/client/v3/register");
//! let body = r#"{"user_id": "@1:example.org", "access_token": "syt_x", "device_id": "D"}"#;
//! let answer = job.respond(Response::new(200, vec![], Body::Json(body.into())));
//!
//! let input = Input::Outcome(*id, Outcome::Responded(answer));
//! let step = registration.step(&mut StepContext::new(now, &mut entropy), input);
//! // 3. The account goes into the store, and the registration out of it, in one commit.
//! assert_eq!(step.writes.writes().len(), 2);
//! let [Event::Finished(Ok(account))] = &step.events[..] else { panic!("{:?}", step.events) };
//! assert_eq!(account.user_id.as_str(), "@1:example.org");
//! # Ok::<(), matricula_core::ServerUrlError>(())
//! ```

mod account;
mod account_management;
mod discovery;
mod error;
mod login;
pub mod machine;
mod random;
mod register;
mod server_address;
pub mod session;
mod uia;

pub use account::{Account, DeviceOptions, tables};
pub use account_management::{
    AddThreepid, Deactivation, PasswordChange, PendingPassword, PendingThreepid, Threepid,
};
pub use discovery::{
    Discovery, IdentityProvider, LoginFlow, OAuthOffer, PasswordPolicy, Probe, RegistrationMethod,
    RegistrationOffer, ServerInfo, Warning, WellKnown,
};
pub use error::{
    AccountError, AppserviceError, AuthError, BrowserError, DiscoveryError, LoginError,
    OAuthLoginError, OAuthRefusal, RegisterError, ServerError, SessionError, StagesNotSupported,
    ThreepidError, UiaError,
};
pub use login::{
    AppserviceLogin, Login, OAuthClient, OAuthLogin, SsoLogin, password_login_request,
};
pub use machine::{Answer, Conversation, Effect, Event, Input, Progress, Prompt};
pub use random::generate_password;
pub use register::{
    AccountKind, AppserviceRegistration, AuthMethod, Guest, PendingAuth, Phone, PhoneError,
    Registration, RegistrationOptions, SignUp,
};
pub use server_address::{ServerAddress, ServerAddressError};
pub use session::{OAuthLogout, OAuthSession};
pub use uia::UiaRequest;
