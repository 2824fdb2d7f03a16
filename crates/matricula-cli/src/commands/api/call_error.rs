//! The errors of calls, explained.

use matricula::{
    Error,
    api::{ApiError, ErrorCode, MatrixError, uia::UiaInfo},
    core::OperationAuth,
};
use matricula_api::server::AnyEndpoint;
use serde_json::{Value, json};

use super::{arguments, caller::Caller, endpoints, full_name, name, show_command};
use crate::{
    commands::{Context, account_source},
    error::{CommandError, exit_code},
    output::shown_json,
    shell::shell_word,
};

/// Explains why the call failed, and what may help.
pub(super) fn explain(
    context: &Context<'_>,
    endpoint: &AnyEndpoint,
    caller: &Caller,
    error: Error,
) -> CommandError {
    let api = match (&error, caller) {
        (Error::Api(api), _) => api,
        (_, Caller::Account(account)) => {
            return account_source::session_ended(context, account, error);
        }
        _ => return error.into(),
    };
    if let (Caller::Account(account), ApiError::Matrix(refusal)) = (caller, api)
        && refusal.code == ErrorCode::UnknownToken
        && endpoint.operation.auth != OperationAuth::None
    {
        return account_source::session_ended(context, account, error);
    }
    let called = name(&endpoint.operation);
    let server = caller.server();
    let mut next = None;
    let message = match api {
        api if is_not_served(api) => not_served(endpoint, caller, api),
        ApiError::Matrix(refusal) => {
            if is_about_the_request(refusal) {
                next = Some(show_command(context, endpoint));
            }
            if let (ErrorCode::MissingToken, Caller::Account(account)) = (&refusal.code, caller) {
                let user_id = shell_word(account.user_id.as_str());
                let example = arguments::example(endpoint);
                next = Some(context.command(&format!("{example} --account {user_id}")));
            }
            let verb = match refusal.is_failure() {
                true => "failed at",
                false => "refused",
            };
            format!("{server} {verb} {called}: {refusal}")
        }
        ApiError::Uia(info) => stages(&called, info),
        other => format!("{called} at {server}: {other}"),
    };
    CommandError::Explained {
        message,
        exit_code: exit_code(&error),
        details: details(endpoint, api),
        next,
    }
}

/// Whether the server does not know the operation, and not only the object that the call names.
fn is_not_served(error: &ApiError) -> bool {
    match error {
        ApiError::Matrix(refusal) => refusal.code == ErrorCode::Unrecognized,
        ApiError::UnexpectedStatus { status } => matches!(status, 404 | 405 | 501),
        _ => false,
    }
}

fn not_served(endpoint: &AnyEndpoint, caller: &Caller, error: &ApiError) -> String {
    let operation = &endpoint.operation;
    let others: Vec<String> = endpoints()
        .map(|one| &one.operation)
        .filter(|one| one.id == operation.id && one.api != operation.api)
        .map(full_name)
        .collect();
    let hint = match others.is_empty() {
        true => String::new(),
        false => format!("; of the same name there is also {}", others.join(", ")),
    };
    // A status of 404 may also be about the object that the call names.
    let verb = match error {
        ApiError::Matrix(_) => "does not serve",
        _ => "seems not to serve",
    };
    format!(
        "{} {verb} {} ({} {}): {error}{hint}",
        caller.server(),
        full_name(operation),
        operation.method,
        operation.path,
    )
}

fn is_about_the_request(refusal: &MatrixError) -> bool {
    matches!(
        refusal.code,
        ErrorCode::BadJson | ErrorCode::NotJson | ErrorCode::MissingParam | ErrorCode::InvalidParam
    )
}

fn stages(called: &str, info: &UiaInfo) -> String {
    let flows: Vec<String> = info
        .flows
        .iter()
        .map(|flow| {
            let stages: Vec<&str> = flow.stages.iter().map(|stage| stage.as_str()).collect();
            stages.join(" and ")
        })
        .collect();
    let mut message = format!(
        "{called} wants you to authenticate: {}",
        flows.join(", or ")
    );
    if !info.completed.is_empty() {
        let done: Vec<&str> = info.completed.iter().map(|stage| stage.as_str()).collect();
        message += &format!("; done: {}", done.join(" and "));
    }
    if let Some(why) = info.error.as_deref().filter(|why| !why.is_empty()) {
        message += &format!("; the last attempt failed: {why}");
    }
    if let Some(session) = &info.session {
        message += &format!("; the session is {session}");
    }
    message
        + "; call it again with `auth`, its `type` and `session` and what the stage needs, in \
               --json-body @FILE"
}

fn details(endpoint: &AnyEndpoint, error: &ApiError) -> Value {
    let mut details = json!({ "operation": full_name(&endpoint.operation) });
    match error {
        ApiError::Matrix(refusal) => {
            details["status"] = json!(refusal.status);
            details["errcode"] = json!(refusal.code);
        }
        ApiError::Uia(info) => {
            details["status"] = json!(401);
            details["session"] = json!(info.session);
            details["flows"] = info.flows.iter().map(|flow| json!(flow.stages)).collect();
            details["completed"] = shown_json(&info.completed);
            details["params"] = shown_json(&info.params);
            details["errcode"] = json!(info.errcode);
        }
        ApiError::RateLimited { retry_after, error } => {
            if let Some(refusal) = error {
                details["status"] = json!(refusal.status);
                details["errcode"] = json!(refusal.code);
            }
            details["retry_after_seconds"] = json!(retry_after.map(|wait| wait.as_secs_f64()));
        }
        ApiError::Malformed { status, .. } | ApiError::UnexpectedStatus { status } => {
            details["status"] = json!(status);
        }
        _ => {}
    }
    details
}
