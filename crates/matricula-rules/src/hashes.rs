//! The [hashes](https://spec.matrix.org/v1.19/server-server-api/#signing-events) of an event, and the ids made of them.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use sha2::{Digest, Sha256};

use crate::{
    EventIdFormat, JsonError, RoomVersion,
    canonical_json::{Numbers, write_object},
    raw::Object,
    redaction::redact_fields,
};

/// The content hash of an event, which covers all of it but `unsigned`, `signatures` and `hashes`: unpadded Base64, as
/// it stands in `hashes.sha256`.
///
/// # Errors
/// If the event is not a JSON object, or not canonical JSON where the room version wants that.
pub fn content_hash(event: &str, version: RoomVersion) -> Result<String, JsonError> {
    content_hash_of(&Object::parse(event)?, version)
}

/// The reference hash of an event, which covers what is left of it after redaction.
///
/// # Errors
/// As [`content_hash`], and if the event has no `type`.
pub fn reference_hash(event: &str, version: RoomVersion) -> Result<[u8; 32], JsonError> {
    let essential = essential_json(Object::parse(event)?, version)?;
    Ok(Sha256::digest(essential).into())
}

/// The id of an event: `event_id` in versions 1 and 2, else made of the reference hash.
///
/// # Errors
/// As [`reference_hash`]; in versions 1 and 2 if the event has no `event_id`.
pub fn event_id(event: &str, version: RoomVersion) -> Result<String, JsonError> {
    let event = Object::parse(event)?;
    if version.rules().event_id_format == EventIdFormat::Chosen {
        return chosen_event_id(&event);
    }
    Ok(id_of_hash(
        &Sha256::digest(essential_json(event, version)?).into(),
        version,
    ))
}

/// The room that a create event creates: its `room_id`, or from version 12 on the event's id with the sigil `!`.
///
/// # Errors
/// As [`event_id`]; until version 11 if the event has no `room_id`.
pub fn room_id(create_event: &str, version: RoomVersion) -> Result<String, JsonError> {
    if version.rules().room_id_is_create_hash {
        return Ok(event_id(create_event, version)?.replacen('$', "!", 1));
    }
    let id = Object::parse(create_event)?.text("room_id");
    let id = id.ok_or_else(|| JsonError::wrong("room_id", "a text"))?;
    Ok(id.into_owned())
}

pub(crate) fn content_hash_of(
    event: &Object<'_>,
    version: RoomVersion,
) -> Result<String, JsonError> {
    let left_out = ["unsigned", "signatures", "hashes"];
    let json = write_object(event, &left_out, Numbers::from(version))?;
    Ok(STANDARD_NO_PAD.encode(Sha256::digest(json)))
}

/// What signatures and the reference hash cover: the redacted event without `signatures`, as canonical JSON.
pub(crate) fn essential_json(event: Object<'_>, version: RoomVersion) -> Result<String, JsonError> {
    let (content, mut event) = redact_fields(event, version)?;
    event.insert("content", &content);
    write_object(&event, &["signatures"], Numbers::from(version))
}

pub(crate) fn id_of_hash(hash: &[u8; 32], version: RoomVersion) -> String {
    let hash = match version.rules().event_id_format {
        EventIdFormat::UrlSafeHash => URL_SAFE_NO_PAD.encode(hash),
        _ => STANDARD_NO_PAD.encode(hash),
    };
    format!("${hash}")
}

pub(crate) fn chosen_event_id(event: &Object<'_>) -> Result<String, JsonError> {
    let id = event.text("event_id");
    let id = id.ok_or_else(|| JsonError::wrong("event_id", "a text"))?;
    Ok(id.into_owned())
}
