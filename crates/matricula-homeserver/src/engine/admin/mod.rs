//! What administrators do, at the addresses and in the shapes of
//! [Synapse](https://element-hq.github.io/synapse/latest/usage/administration/admin_api/), and as far
//! as the specification has it.

mod moderation;
mod shared_secret;
mod tokens;
mod users;

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Method, StepContext, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    refusal::{ApiError, HandlerError},
    routes::{RequestContext, method_not_allowed},
    tokens::Requester,
};

impl RequestContext<'_> {
    /// Answers at Synapse's addresses for administrators, if this is one.
    pub(super) fn admin(
        &self,
        cx: &mut StepContext<'_>,
    ) -> Result<Option<OutgoingResponse>, HandlerError> {
        let segments = self.request.segments().unwrap_or_default();
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let ["_synapse", "admin", rest @ ..] = segments.as_slice() else {
            return Ok(None);
        };
        let reply = match (rest, self.request.method) {
            (["v1", "register"], Method::Get) => self.nonce(cx)?,
            (["v1", "register"], Method::Post) => self.register_by_secret(cx)?,
            (["v1", "register"], _) => method_not_allowed(&[Method::Get, Method::Post]),
            (["v2", "users", user], Method::Get) => self.get_user(cx, user)?,
            (["v2", "users", user], Method::Put) => self.put_user(cx, user)?,
            (["v2", "users", _], _) => method_not_allowed(&[Method::Get, Method::Put]),
            (["v1", "deactivate", user], Method::Post) => self.deactivate_user(cx, user)?,
            (["v1", "deactivate", _], _) => method_not_allowed(&[Method::Post]),
            (["v1", "registration_tokens"], Method::Get) => self.list_tokens(cx)?,
            (["v1", "registration_tokens"], _) => method_not_allowed(&[Method::Get]),
            (["v1", "registration_tokens", "new"], Method::Post) => self.new_token(cx)?,
            (["v1", "registration_tokens", token], Method::Get) => self.get_token(cx, token)?,
            (["v1", "registration_tokens", token], Method::Put) => self.change_token(cx, token)?,
            (["v1", "registration_tokens", token], Method::Delete) => {
                self.delete_token(cx, token)?
            }
            (["v1", "registration_tokens", _], _) => {
                method_not_allowed(&[Method::Get, Method::Put, Method::Delete])
            }
            _ => return Ok(None),
        };
        Ok(Some(reply))
    }

    /// The administrator who asks.
    fn require_admin(&self, now: Timestamp) -> Result<Requester, HandlerError> {
        let bearer = self.authenticate_user(now)?;
        if !self.homeserver.is_admin(&bearer) {
            let error = "only an administrator of this server can do this";
            return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
        }
        Ok(bearer)
    }

    /// The request's body.
    fn json_body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let fields = serde_json::from_slice(&self.request.body);
        let body = fields.and_then(|it| serde_json::from_value(Value::Object(it)));
        body.map_err(|error| {
            let code = match error.is_data() {
                true => ErrorCode::BadJson,
                false => ErrorCode::NotJson,
            };
            // It may be a password that stands in the wrong place.
            ApiError::new(400, code, "the body is not the JSON that is wanted here")
        })
    }
}

impl super::Homeserver {
    pub(super) fn is_admin(&self, bearer: &Requester) -> bool {
        bearer.is_admin || self.config.admins.contains(&bearer.localpart)
    }
}
