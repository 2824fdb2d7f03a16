//! Who a request comes from, and how accounts and sessions are made: registration, login, UIA, OAuth 2.0.

pub(crate) mod appservice;
pub(crate) mod fallback;
pub(crate) mod localpart;
pub(crate) mod login;
pub(crate) mod login_page;
pub(crate) mod oauth;
pub(crate) mod passwords;
pub(crate) mod reauth;
pub(crate) mod register;
pub(crate) mod requester;
pub(crate) mod session;
pub(crate) mod sso;
pub(crate) mod threepid;
pub(crate) mod uia;
pub(crate) mod user_lookup;
pub(crate) mod validation;
