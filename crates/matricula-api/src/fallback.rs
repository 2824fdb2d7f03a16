//! By hand, as only prose defines it: the pages that a homeserver offers to clients that cannot do
//! something themselves.

use matricula_core::{Api, Method, Operation, ServerUrl};

use crate::{codec, uia::Stage};

/// The page on which a person [does a stage] of user-interactive authentication in a browser.
///
/// Without a session the page does no stage; servers name one with the first answer.
///
/// [does a stage]: https://spec.matrix.org/v1.19/client-server-api/#fallback
pub fn auth_page(server: &ServerUrl, stage: &Stage, session: Option<&str>) -> String {
    let parts = ["/_matrix/client/v3/auth/", "/fallback/web"];
    let page = codec::address(server, &parts, &[stage.as_str()]);
    with_query(page, session.map(|session| ("session", session)))
}

/// The page on which a person [logs in] in a browser. `parameters` are fields of
/// [`Login`](crate::client::login::Login) for it to pass on, such as `device_id`; no credentials.
///
/// [logs in]: https://spec.matrix.org/v1.19/client-server-api/#login-fallback
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
    match query.is_empty() {
        true => page,
        false => format!("{page}?{query}"),
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

/// The pages, as facts.
pub const OPERATIONS: &[Operation] = &[AUTH_PAGE, LOGIN_PAGE];
