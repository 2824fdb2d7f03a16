//! What all sides start from.

/// The address of the server.
pub const SERVER: &str = "https://matrix.example.org";

/// The token of the account that sends.
pub const TOKEN: &str = "syt_YWxpY2U_hCGGtmQwJWpTqNxCXNeN_3k2Zlq";

/// The localpart that is asked for.
pub const USERNAME: &str = "alice";

/// The password to set.
pub const PASSWORD: &str = "correct horse battery staple";

/// What the new device is shown as.
pub const DEVICE_NAME: &str = "A program at its desk";

/// The room that a message goes to.
pub const ROOM: &str = "!EwBGHtZfXtVSmJhBDc:example.org";

/// The id of the transaction in which it goes.
pub const TXN: &str = "m1732448341.17";

/// What the message says.
pub const MESSAGE: &str = "Shall we meet at eight, where we met the last time?";

/// The answer to a registration that succeeded, without the deprecated `home_server`: ruma reads past it.
pub const REGISTERED: &str = r#"{"user_id":"@alice:example.org","access_token":"syt_YWxpY2U_hCGGtmQwJWpTqNxCXNeN_3k2Zlq","device_id":"GHTYAJCE"}"#;

/// The answer of a server that is asked too often.
pub const LIMITED: &str =
    r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":2000}"#;

/// The answer of a server that wants a registration to be authenticated.
pub const UNAUTHENTICATED: &str = r#"{"session":"xOGUvYQrXbFbSQzHUzWhJpnR","flows":[{"stages":["m.login.registration_token","m.login.recaptcha","m.login.terms","m.login.email.identity"]},{"stages":["m.login.recaptcha","m.login.terms","m.login.dummy"]}],"params":{"m.login.recaptcha":{"public_key":"6LcgI54UAAAAABGdGmruw6DdOocFpYVdjYBRe4zb"},"m.login.terms":{"policies":{"privacy_policy":{"version":"1.0","en":{"name":"Terms and Conditions","url":"https://matrix.example.org/_matrix/consent?v=1.0"}}}}},"completed":["m.login.registration_token"]}"#;
