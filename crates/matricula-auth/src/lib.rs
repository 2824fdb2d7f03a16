//! Conversations with a Matrix homeserver that end in a session, and those that manage its account.
//!
//! Each is a [`Machine`](matricula_core::Machine) without I/O: it says what to [send](Effect::Send), what to
//! [ask](Effect::Ask) the person and until when to [wait](Effect::Wait), and gets the results as
//! [inputs](Input).
//!
//! | to | use |
//! |---|---|
//! | find a server and what it offers | [`Discovery`] |
//! | make an account by whatever method the server wants | [`SignUp`] |
//! | make an account by Matrix's own API | [`Registration`], [`AppserviceRegistration`] |
//! | sign in | [`Login`], [`SsoLogin`], [`OAuthLogin`], [`AppserviceLogin`] |
//! | stay signed in | [`session`] |
//! | sign out at an OAuth 2.0 server | [`OAuthLogout`] |
//! | change the account | [`PasswordChange`], [`AddThreepid`], [`Deactivation`] |
//! | call any operation that needs authentication | [`UiaRequest`] |
//!
//! After every step store its `writes`, and only then carry out its effects. A registration that was stored
//! continues in another process: read it back with [`Registration::from_stored`] and step it with
//! [`Input::Start`]. [`OAuthLogin`] and [`SsoLogin`] work the same way.
//!
//! The errors of each operation are an enum of its own. [`AuthError`] has all of them.
//!
//! To read how a registration works, begin with `register/mod.rs`. To add a prompt, begin with `prompt.rs`.
//!
//! A registration by hand, with an invented response:
//!
//! ```
//! use matricula_auth::{Effect, Event, Input, Registration, ServerInfo, RegistrationOptions};
//! use matricula_core::{
//!     Body, StepContext, Machine, Response, SeededEntropy, Timestamp, scheduler::Outcome,
//! };
//!
//! // In production: the system's clock and random bytes.
//! let (now, mut entropy) = (Timestamp::from_millis(1_700_000_000_000), SeededEntropy::new(7));
//! let info = ServerInfo::of("https://matrix.example.org".parse()?);
//! let mut registration = Registration::new(&info, RegistrationOptions::default());
//!
//! let step = registration.step(&mut StepContext::new(now, &mut entropy), Input::Start);
//! // 1. Store the writes: the generated password is in them, and nothing has been sent yet.
//! assert!(!step.writes.is_empty());
//! // 2. Then send, and answer with the effect's id.
//! let [Effect::Send(id, job)] = &step.effects[..] else { panic!("{:?}", step.effects) };
//! assert_eq!(job.url(), "https://matrix.example.org/_matrix/client/v3/register");
//! let body = r#"{"user_id": "@1:example.org", "access_token": "syt_x", "device_id": "D"}"#;
//! let response = job.respond(Response::new(200, vec![], Body::Json(body.into())));
//!
//! let input = Input::Outcome(*id, Outcome::Responded(response));
//! let step = registration.step(&mut StepContext::new(now, &mut entropy), input);
//! // 3. The account is stored and the registration removed, in one commit.
//! assert_eq!(step.writes.writes().len(), 2);
//! let [Event::Finished(Ok(account))] = &step.events[..] else { panic!("{:?}", step.events) };
//! assert_eq!(account.user_id.as_str(), "@1:example.org");
//! # Ok::<(), matricula_core::ServerUrlError>(())
//! ```

mod account;
mod account_management;
pub mod conversation;
mod discovery;
mod error;
mod login;
mod prompt;
mod random;
mod register;
mod server_address;
pub mod session;
mod uia;

pub use account::{Account, DeviceOptions, tables};
pub use account_management::{
    AddThreepid, Deactivation, PasswordChange, PendingPassword, PendingThreepid, Threepid,
};
pub use conversation::{Conversation, Effect, Event, Input, Progress};
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
    AppserviceLogin, Login, OAuthClient, OAuthLogin, SsoLogin, password_login_request, read_login,
};
pub use prompt::{Answer, Prompt};
pub use random::generate_password;
pub use register::{
    AccountKind, AppserviceRegistration, AuthMethod, Guest, PendingAuth, Phone, PhoneError,
    Registration, RegistrationOptions, SignUp, normal_user, split_username,
};
pub use server_address::{ServerAddress, ServerAddressError, is_same_server};
pub use session::{OAuthLogout, OAuthSession};
pub use uia::UiaRequest;
