//! Requests to every operation, built from the description of their parts.

use std::borrow::Cow;

use matricula_api::server::{
    AnyEndpoint, IncomingRequest, Parameter, ParameterLocation, ParameterType,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// A value of this format.
pub(crate) fn of_format(format: &str) -> Option<&'static str> {
    Some(match format {
        "mx-user-id" => "@user:example.org",
        "mx-room-id" => "!room:example.org",
        "mx-event-id" => "$event:example.org",
        "mx-room-alias" => "#alias:example.org",
        "mx-server-name" => "example.org",
        "mx-mxc-uri" => "mxc://example.org/media",
        "uri" => "https://example.org/page",
        _ => return None,
    })
}

/// A text that fits what has this name.
pub(crate) fn of_name(name: &str) -> String {
    let format = match name {
        "userId" | "user_id" | "userid" | "mxid" | "sender" => "mx-user-id",
        "roomId" | "room_id" | "roomIdOrAlias" | "new_room_id" => "mx-room-id",
        "eventId" | "event_id" | "m.fully_read" | "m.read" | "m.read.private" => "mx-event-id",
        "roomAlias" | "alias" => "mx-room-alias",
        "serverName" | "via" | "server" | "server_name" => "mx-server-name",
        "dir" => return "b".to_owned(),
        "membership" => return "join".to_owned(),
        "not_membership" => return "leave".to_owned(),
        "method" => return "crop".to_owned(),
        "receiptType" => return "m.read".to_owned(),
        "" => return "some value".to_owned(),
        _ => return format!("some {name}"),
    };
    of_format(format).unwrap().to_owned()
}

/// How much of a request there is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Amount {
    Required,
    Everything,
}

/// A request with values of ours in its path, query and headers, and this body.
pub(crate) fn incoming<'a>(
    endpoint: &AnyEndpoint,
    amount: Amount,
    sample: &Value,
    body: &[u8],
) -> IncomingRequest<'a> {
    let wanted = |one: &&Parameter| one.required || amount == Amount::Everything;
    let in_place = |place| {
        let parameters = endpoint.parameters.iter().filter(wanted);
        let parameters = parameters.filter(move |one| one.location == place);
        parameters.flat_map(pairs).collect()
    };
    IncomingRequest::new(&endpoint.operation, &path_of(endpoint, sample))
        .unwrap()
        .with_query(in_place(ParameterLocation::Query))
        .with_headers(in_place(ParameterLocation::Header))
        .with_body(body)
}

/// A query parameter or header with a value of ours: several where it may be there several times.
fn pairs(parameter: &Parameter) -> Vec<(Cow<'static, str>, String)> {
    let value = of_name(parameter.name);
    let name = Cow::Borrowed(parameter.name);
    match parameter.kind {
        ParameterType::Integer => vec![(name, "1000".to_owned())],
        ParameterType::Boolean => vec![(name, "true".to_owned())],
        ParameterType::Texts => vec![(name.clone(), value.clone()), (name, value)],
        ParameterType::Pairs => vec![(Cow::Borrowed("some"), value)],
        _ => vec![(name, value)],
    }
}

/// The operation's path with values of ours; where the body's single key is a part of the path, it
/// is the one of `body`.
fn path_of(endpoint: &AnyEndpoint, body: &Value) -> String {
    let mut path = endpoint.operation.path.to_owned();
    let named = endpoint
        .parameters
        .iter()
        .filter(|one| one.location == ParameterLocation::Path);
    for parameter in named {
        let value = match (
            parameter.name,
            body.as_object().and_then(|body| body.keys().next()),
        ) {
            ("keyName", Some(key)) => key.clone(),
            (name, _) => of_name(name),
        };
        let value = utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string();
        path = path.replace(&format!("{{{}}}", parameter.name), &value);
    }
    path
}
