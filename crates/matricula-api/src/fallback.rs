//! Fallback pages of homeservers, for clients that do not support a feature. Hand-written, because
//! only the prose describes them.

use matricula_core::{Api, Method, Operation, ServerUrl};

use crate::{codec, uia::Stage};

/// The page for a [stage] of user-interactive authentication in a browser.
///
/// The page requires a session, which the first 401 response contains.
///
/// [stage]: https://spec.matrix.org/v1.19/client-server-api/#fallback
pub fn auth_page(server: &ServerUrl, stage: &Stage, session: Option<&str>) -> String {
    let parts = ["/_matrix/client/v3/auth/", "/fallback/web"];
    let page = codec::address(server, &parts, &[stage.as_str()]);
    with_query(page, session.map(|session| ("session", session)))
}

/// The page for [login] in a browser. `parameters` are fields of
/// [`Login`](crate::client::login::Login) such as `device_id`, but no credentials.
///
/// [login]: https://spec.matrix.org/v1.19/client-server-api/#login-fallback
pub fn login_page<'a>(
    server: &ServerUrl,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    with_query(format!("{server}{}", LOGIN_PAGE.path), parameters)
}

fn with_query<'a>(page: String, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    if query.is_empty() {
        page
    } else {
        format!("{page}?{query}")
    }
}

const AUTH_PAGE: Operation = Operation::new(
    Api::Client,
    "authFallback",
    Method::Get,
    "/_matrix/client/v3/auth/{type}/fallback/web",
);

const LOGIN_PAGE: Operation = Operation::new(
    Api::Client,
    "loginFallback",
    Method::Get,
    "/_matrix/static/client/login/",
);

/// The operations of the pages.
pub const OPERATIONS: &[Operation] = &[AUTH_PAGE, LOGIN_PAGE];
