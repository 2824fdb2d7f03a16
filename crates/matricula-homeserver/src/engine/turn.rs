//! [TURN](https://spec.matrix.org/v1.19/client-server-api/#voice-over-ip): credentials for the relay of calls.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use matricula_api::client::voip::{GetTurnServer, GetTurnServerResponse};
use matricula_core::StepContext;
use sha1::Sha1;

use super::{context::RequestContext, error::HandlerError, handler::Handler, millis};

/// Without a configuration the response is empty, as clients expect it.
impl Handler for GetTurnServer {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetTurnServerResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let Some(turn) = &context.config.turn else {
            return Ok(GetTurnServerResponse::default());
        };
        // https://datatracker.ietf.org/doc/html/draft-uberti-behave-turn-rest-00
        let expires_at = millis(cx.now.plus(turn.lifetime)) / 1000;
        let user_id = requester.user_id(context.config)?;
        let username = format!("{expires_at}:{user_id}");
        let mac = Hmac::<Sha1>::new_from_slice(turn.shared_secret.expose().as_bytes());
        let mut mac = mac.map_err(|error| HandlerError::Internal(error.to_string().into()))?;
        mac.update(username.as_bytes());
        let password = STANDARD.encode(mac.finalize().into_bytes());
        Ok(GetTurnServerResponse::default()
            .username(username)
            .password(password)
            .uris(turn.uris.clone())
            .ttl(turn.lifetime))
    }
}
