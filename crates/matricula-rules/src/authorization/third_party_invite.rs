//! Invitations of users who were invited by an email address or a phone number before.

use serde_json::value::RawValue;

use super::{Denied, State, THIRD_PARTY_INVITE};
use crate::{
    raw::{Object, parse_array},
    signing::{VerifyingKey, verify_json},
};

/// Checks `third_party_invite` in the content of an invitation.
pub(super) fn check_third_party_invite(
    invite: &RawValue,
    sender: &str,
    target: &str,
    state: &State<'_>,
) -> Result<(), Denied> {
    let denied = |problem| Err(Denied::ThirdPartyInvite(problem));
    let signed = Object::of(invite).and_then(|invite| invite.get("signed"));
    let Some((signed, fields)) = signed.and_then(|signed| Some((signed, Object::of(signed)?)))
    else {
        return denied("it has no `signed`");
    };
    let (Some(user), Some(token)) = (fields.text("mxid"), fields.text("token")) else {
        return denied("`signed` has no `mxid` or no `token`");
    };
    if user != target {
        return denied("it is for another user");
    }
    let Some(original) = state.get(THIRD_PARTY_INVITE, &token) else {
        return denied("the room has no such invitation");
    };
    if original.sender != sender {
        return denied("it was sent by another user");
    }
    let keys = public_keys(original.content);
    if keys.iter().any(|key| is_signed(signed, &fields, *key)) {
        Ok(())
    } else {
        denied("no signature was made with one of its keys")
    }
}

/// The public keys in the content of `m.room.third_party_invite`.
fn public_keys(content: &str) -> Vec<VerifyingKey> {
    let Ok(content) = Object::parse(content) else {
        return Vec::new();
    };
    let more = content.get("public_keys").and_then(parse_array);
    let more = more.unwrap_or_default().into_iter().filter_map(Object::of);
    [content]
        .into_iter()
        .chain(more)
        .filter_map(|it| VerifyingKey::from_base64(&it.text("public_key")?).ok())
        .collect()
}

/// Whether any signature was made with this key.
fn is_signed(signed: &RawValue, fields: &Object<'_>, key: VerifyingKey) -> bool {
    let signatures = fields.object("signatures").unwrap_or_default();
    signatures.iter().any(|(entity, of_entity)| {
        let of_entity = Object::of(of_entity).unwrap_or_default();
        of_entity
            .iter()
            .any(|(key_id, _)| verify_json(signed.get(), entity, key_id, key).is_ok())
    })
}
