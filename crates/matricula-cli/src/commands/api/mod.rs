//! `matricula api`: lists, shows and calls the operations of the specification.

mod arguments;
mod call;
mod call_error;
mod caller;
mod list;
mod response;
mod show;

use matricula::core::{Api, Operation};
use matricula_api::{appservice, client, identity, push, server::AnyEndpoint};
use serde_json::{Value, json};

use super::Context;
use crate::{args, error::CommandError};

pub(crate) async fn run(context: &Context<'_>, options: args::Api) -> Result<(), CommandError> {
    match options {
        args::Api::List(options) => list::run(context, &options),
        args::Api::Show(options) => show::run(context, &options),
        args::Api::Call(options) => call::run(context, *options).await,
    }
}

/// All operations; the client-server API's come first.
fn endpoints() -> impl Iterator<Item = &'static AnyEndpoint> {
    let apis = [
        client::ENDPOINTS,
        identity::ENDPOINTS,
        appservice::ENDPOINTS,
        push::ENDPOINTS,
    ];
    apis.into_iter().flatten()
}

/// The operation of this name: `login`, or `client/login`. Without an API, the client-server API
/// comes first.
fn find(name: &str) -> Result<&'static AnyEndpoint, CommandError> {
    let (api, id) = match name.split_once('/') {
        Some((api, id)) => (Some(api), id),
        None => (None, name),
    };
    let is_meant = |operation: &Operation| {
        operation.id == id && api.is_none_or(|api| api == operation.api.as_str())
    };
    let found: Vec<_> = endpoints().filter(|one| is_meant(&one.operation)).collect();
    match found[..] {
        [one] => Ok(one),
        [first, ..] if first.operation.api == Api::Client => Ok(first),
        [_, ..] => {
            let names: Vec<String> = found.iter().map(|one| full_name(&one.operation)).collect();
            let names = names.join(" or ");
            Err(CommandError::Usage(format!(
                "{id} is several operations: say {names}"
            )))
        }
        [] => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> CommandError {
    let names =
        endpoints().flat_map(|one| [one.operation.id.to_owned(), full_name(&one.operation)]);
    let hint = match closest(name, names) {
        Some(close) => format!("did you mean {close}?"),
        None => "`matricula api list` shows those that there are".to_owned(),
    };
    CommandError::Usage(format!("there is no operation {name:?}; {hint}"))
}

/// The name with its API.
fn full_name(operation: &Operation) -> String {
    format!("{}/{}", operation.api.as_str(), operation.id)
}

/// The shortest name by which [`find`] finds it.
fn name(operation: &Operation) -> String {
    match find(operation.id) {
        Ok(found) if found.operation.api == operation.api => operation.id.to_owned(),
        _ => full_name(operation),
    }
}

/// The name that is most similar.
fn closest(name: &str, names: impl Iterator<Item = impl Into<String>>) -> Option<String> {
    const CLOSE: f64 = 0.75;
    let plain = |name: &str| name.to_ascii_lowercase().replace(['_', '-'], "");
    let wanted = plain(name);
    let known = names.map(|known| {
        let known = known.into();
        (strsim::jaro_winkler(&wanted, &plain(&known)), known)
    });
    let close = known.filter(|(likeness, _)| *likeness >= CLOSE);
    let best = close.max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, known)| known)
}

/// The error of arguments that the operation does not accept.
fn usage(context: &Context<'_>, endpoint: &AnyEndpoint, message: &str) -> CommandError {
    let called = name(&endpoint.operation);
    CommandError::Explained {
        message: format!("{called}: {message}"),
        exit_code: 2,
        details: Value::Null,
        next: Some(show_command(context, endpoint)),
    }
}

/// The command that shows what the operation accepts.
fn show_command(context: &Context<'_>, endpoint: &AnyEndpoint) -> String {
    context.command(&format!("api show {}", name(&endpoint.operation)))
}

/// The JSON object that starts with the operation's name.
fn object(endpoint: &AnyEndpoint) -> Value {
    json!({ "schema_version": 1, "operation": full_name(&endpoint.operation) })
}

#[cfg(test)]
mod tests {
    use matricula_api::server::{ParameterLocation, ParameterType};

    use super::*;

    #[test]
    fn operations_are_found_by_name() {
        let mut found = 0;
        for one in endpoints() {
            let operation = &one.operation;
            for name in [name(operation), full_name(operation)] {
                assert_eq!(find(&name).unwrap().operation, *operation, "{name}");
            }
            found += 1;
        }
        assert_eq!(found, 199);
    }

    /// `name=` gives the first of two, `name:=` the one in the body.
    #[test]
    fn shared_names_are_path_and_body() {
        let mut found = Vec::new();
        for one in endpoints() {
            for (at, second) in one.parameters.iter().enumerate() {
                let mut before = one.parameters[..at].iter();
                if let Some(first) = before.find(|first| first.name == second.name) {
                    assert_eq!(
                        (first.location, second.location),
                        (ParameterLocation::Path, ParameterLocation::Body)
                    );
                    assert!(!second.required, "{}", one.operation.id);
                    found.push((one.operation.id, second.name));
                }
            }
        }
        assert_eq!(found, [("putRoomKeysVersion", "version")]);
    }

    /// They are read as texts.
    #[test]
    fn secrets_among_the_parameters_are_texts() {
        let parameters = endpoints().flat_map(|one| one.parameters);
        for secret in parameters.filter(|one| one.secret) {
            assert_eq!(secret.kind, ParameterType::Text, "{secret:?}");
        }
    }
}
