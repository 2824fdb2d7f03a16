//! Prints the response of an operation.

use matricula::core::mask_json;
use matricula_api::server::{AnyEndpoint, OutgoingResponse};
use serde_json::{Value, json};

use super::object;
use crate::{
    args::ApiCall,
    commands::{Context, files::is_stream},
    output::link,
};

/// A response, read as its type.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reply: OutgoingResponse,
    pub(super) is_download: bool,
}

/// Prints the response by its type: JSON, a file, or an address to open.
pub(super) fn print(
    context: &Context<'_>,
    endpoint: &AnyEndpoint,
    options: &ApiCall,
    answer: &Answer,
) {
    let reply = &answer.reply;
    let mut object = object(endpoint);
    object["status"] = json!(answer.status);
    let header = |name: &str| {
        let found = reply.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    let file = options.output.as_deref().filter(|file| !is_stream(file));
    if let Some(file) = file {
        object["output"] = json!(file);
        object["content_type"] = json!(header("content-type"));
        object["content_disposition"] = json!(header("content-disposition"));
        let words = format!("written to {}", file.display());
        return context.output.result(&words, &object);
    }
    if let Some(location) = header("location") {
        let url = link(location);
        object["url"] = json!(url);
        let words = url.unwrap_or_else(|| "(the address is not a web page)".to_owned());
        return context.output.result(&words, &object);
    }
    // Files on a terminal were refused earlier.
    let text = match std::str::from_utf8(&reply.body) {
        Ok(text) if !answer.is_download => text,
        _ => return context.output.bytes(&reply.body),
    };
    let plain = mask_json::<&str>(text, &[]);
    let shown = match options.show_secrets {
        true => plain.clone(),
        false => mask_json(text, endpoint.operation.response_secrets),
    };
    let response: Value = serde_json::from_str(&shown).unwrap_or_default();
    object["response"] = response.clone();
    context.output.json(&response, &object);
    if serde_json::from_str::<Value>(text).is_err() {
        context.output.warn(
            "a part of the response cannot be shown, such as a number that is out of range: null stands there",
        );
    }
    if !options.show_secrets && shown != plain {
        context
            .output
            .say("secrets are masked; --show-secrets prints them");
    }
}
