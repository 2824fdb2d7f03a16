//! [Redaction](https://spec.matrix.org/v1.19/client-server-api/#redactions): what is left of an event after all
//! that the protocol does not need is removed.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    EventView, JsonError, RedactionRules, RoomVersion,
    raw::{Object, written},
};

/// Redacts an event: a JSON text in the format for servers or for clients. `unsigned` is removed too; what a server
/// adds there afterwards, such as `redacted_because`, is its own.
///
/// ```
/// use matricula_rules::{RoomVersion, redaction::redact};
///
/// let event = r#"{"type": "m.room.message", "sender": "@a:b.org", "content": {"body": "secret"}, "depth": 7}"#;
/// assert_eq!(
///     redact(event, RoomVersion::V11)?,
///     r#"{"content":{},"depth":7,"sender":"@a:b.org","type":"m.room.message"}"#,
/// );
/// # Ok::<(), matricula_rules::JsonError>(())
/// ```
///
/// # Errors
/// If it is not a JSON object with a `type` and a `content` object.
pub fn redact(event: &str, version: RoomVersion) -> Result<String, JsonError> {
    let (content, mut event) = redact_fields(Object::parse(event)?, version)?;
    event.insert("content", &content);
    Ok(event.to_json())
}

/// Redacts the content of an event of a type, for those who store the content by itself.
///
/// # Errors
/// If the content is not a JSON object.
pub fn redact_content(
    kind: &str,
    content: &str,
    version: RoomVersion,
) -> Result<String, JsonError> {
    let content = Object::parse(content)?;
    Ok(strip_content(kind, content, version.rules().redaction))
}

/// The id of the event that a redaction names: where the room version has it, else in the other place, since servers
/// show both to clients.
pub fn redacted_event<'a>(redaction: &EventView<'a>, version: RoomVersion) -> Option<Cow<'a, str>> {
    let in_content = || Object::parse(redaction.content).ok()?.text("redacts");
    let beside = || redaction.redacts.map(Cow::Borrowed);
    if version.rules().redaction.redacts_in_content {
        in_content().or_else(beside)
    } else {
        beside().or_else(in_content)
    }
}

/// The content that is left of an event, and the event without the other fields that go.
pub(crate) fn redact_fields(
    mut event: Object<'_>,
    version: RoomVersion,
) -> Result<(Box<RawValue>, Object<'_>), JsonError> {
    let rules = version.rules().redaction;
    let kind = event.text("type");
    let kind = kind.ok_or_else(|| JsonError::wrong("type", "a text"))?;
    let content = event.object("content");
    let content = content.ok_or_else(|| JsonError::wrong("content", "an object"))?;
    event.retain(|field| keeps_field(field, rules));
    Ok((written(strip_content(&kind, content, rules)), event))
}

fn keeps_field(field: &str, rules: RedactionRules) -> bool {
    match field {
        "event_id" | "type" | "room_id" | "sender" | "state_key" | "content" | "hashes"
        | "signatures" | "depth" | "prev_events" | "auth_events" | "origin_server_ts" => true,
        "origin" | "membership" | "prev_state" => rules.keeps_origin_membership_prev_state,
        _ => false,
    }
}

fn strip_content(kind: &str, mut content: Object<'_>, rules: RedactionRules) -> String {
    let invite = match kind {
        "m.room.member" if rules.keeps_signed_third_party_invite => stripped_invite(&content),
        _ => None,
    };
    content.retain(|field| match (kind, field) {
        ("m.room.member", "membership")
        | ("m.room.join_rules", "join_rule")
        | ("m.room.history_visibility", "history_visibility")
        | (
            "m.room.power_levels",
            "ban" | "events" | "events_default" | "kick" | "redact" | "state_default" | "users"
            | "users_default",
        ) => true,
        ("m.room.create", field) => rules.keeps_all_of_create || field == "creator",
        ("m.room.aliases", "aliases") => rules.keeps_aliases,
        ("m.room.join_rules", "allow") => rules.keeps_join_rule_allow,
        ("m.room.member", "join_authorised_via_users_server") => rules.keeps_join_authorised_via,
        ("m.room.member", "third_party_invite") => invite.is_some(),
        ("m.room.power_levels", "invite") => rules.keeps_invite_level,
        ("m.room.redaction", "redacts") => rules.keeps_redacts,
        _ => false,
    });
    let mut stripped = content;
    if let Some(invite) = &invite {
        stripped.insert("third_party_invite", invite);
    }
    stripped.to_json()
}

/// `third_party_invite` with only its `signed`, empty where it has none. What is no object goes.
fn stripped_invite(content: &Object<'_>) -> Option<Box<RawValue>> {
    let mut invite = content.object("third_party_invite")?;
    invite.retain(|field| field == "signed");
    Some(written(invite.to_json()))
}
