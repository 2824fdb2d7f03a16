//! [OpenID](https://spec.matrix.org/v1.19/client-server-api/#openid) tokens, with which a user shows another
//! service who they are.

use std::time::Duration;

use matricula_api::{
    ErrorCode,
    client::{definitions::OpenidToken, openid::RequestOpenIdToken},
    server::OutgoingResponse,
};
use matricula_core::StepContext;
use serde_json::json;

use super::{
    auth::localpart,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{openid_tokens, users},
};

/// The [endpoint](https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1openiduserinfo) of
/// the service: the only one of the federation API that this server has.
pub(crate) const USER_INFO: &str = "/_matrix/federation/v1/openid/userinfo";

impl Handler for RequestOpenIdToken {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<OpenidToken, HandlerError> {
        let requester = context.authenticate_as(cx.now, &self.user_id)?;
        let token = openid_tokens::issue(cx, context.tx, requester.user)?;
        let lifetime: Duration = openid_tokens::LIFETIME;
        let server_name = context.config.server_name.as_str();
        Ok(OpenidToken::new(token, "Bearer", server_name).expires_in(lifetime))
    }
}

/// The user of a token.
pub(crate) fn user_info(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    let Some(token) = context.request.query("access_token") else {
        let error = "this endpoint needs the query parameter access_token";
        return Err(ApiError::new(401, ErrorCode::MissingToken, error).into());
    };
    let Some(user) = openid_tokens::find(context.tx, cx.now, token)? else {
        let error = "this OpenID token is not known, or has expired";
        return Err(ApiError::new(401, ErrorCode::UnknownToken, error).into());
    };
    let user = users::get(context.tx, user)?;
    let user_id = localpart::user_id(context.config, &user.localpart)?;
    Ok(OutgoingResponse::json(&json!({ "sub": user_id.as_str() })))
}
