//! A homeserver that leaves accounts to its OAuth 2.0 server, both a script.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::server::{
    AUTH_METADATA, Reply, Request, Server, VERSIONS, WHOAMI, answer, error, object,
};

/// What it does, where that is not what is hoped for.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    /// The answer to a client that introduces itself.
    pub(crate) clients: Option<(u16, Value)>,
    /// What the page leads back with instead of a code.
    pub(crate) page: Option<&'static str>,
    /// The answer to a request for tokens.
    pub(crate) tokens: Option<(u16, Value)>,
}

/// Starts it. It lets everybody in who opens its page.
pub(crate) fn start(faults: Faults) -> Server {
    start_with(faults, |_, _| None)
}

/// Starts it. What `first` answers, by its metadata, comes before what it does otherwise.
pub(crate) fn start_with(
    faults: Faults,
    first: impl Fn(&Value, &Request) -> Option<Reply> + Send + Sync + 'static,
) -> Server {
    let metadata = Arc::new(Mutex::new(json!(null)));
    let here = Arc::clone(&metadata);
    let server = Server::start(move |request| {
        let metadata = here.lock().unwrap().clone();
        first(&metadata, request).unwrap_or_else(|| reply(&faults, &metadata, request))
    });
    *metadata.lock().unwrap() = describe(&server.url);
    server
}

fn describe(url: &str) -> Value {
    json!({
        "issuer": format!("{url}/"),
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "revocation_endpoint": format!("{url}/revoke"),
        "registration_endpoint": format!("{url}/clients"),
        "device_authorization_endpoint": format!("{url}/device"),
        "account_management_uri": format!("{url}/account"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "response_modes_supported": ["query", "fragment"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["create"],
    })
}

fn reply(faults: &Faults, metadata: &Value, request: &Request) -> Reply {
    match request.path.as_str() {
        VERSIONS => object(200, json!({ "versions": ["v1.15"] })),
        AUTH_METADATA => object(200, metadata.clone()),
        "/clients" => {
            let (status, body) = faults
                .clients
                .clone()
                .unwrap_or((201, json!({ "client_id": "c1" })));
            object(status, body)
        }
        "/authorize" => {
            let fields = fields(&request.query);
            let answer_of_page = faults.page.unwrap_or("code=the-code");
            let (back, state) = (&fields["redirect_uri"], &fields["state"]);
            let to = format!("location: {back}?{answer_of_page}&state={state}");
            answer(303, &[&to], "")
        }
        "/token" => {
            let (status, body) = faults.tokens.clone().unwrap_or((200, tokens()));
            object(status, body)
        }
        "/revoke" => object(200, json!({})),
        WHOAMI => object(
            200,
            json!({ "user_id": "@new:b.test", "device_id": "LAPTOP" }),
        ),
        _ => error(404, "M_UNRECOGNIZED", "no such path"),
    }
}

fn tokens() -> Value {
    json!({ "access_token": "acc", "refresh_token": "ref", "token_type": "Bearer", "expires_in": 300 })
}

/// The fields of a query.
pub(crate) fn fields(query: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}
