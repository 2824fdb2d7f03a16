//! The [stages](https://spec.matrix.org/v1.19/client-server-api/#authentication-types) of
//! user-interactive authentication.

use matricula_api::{
    ErrorCode,
    client::registration_tokens::{RegistrationTokenValidity, RegistrationTokenValidityResponse},
    uia::AuthData,
};
use matricula_core::{StepContext, Timestamp};
use serde_json::Value;

use super::session::{DUMMY, PASSWORD, RECAPTCHA, UiaSession, ValidatedThreepid};
use crate::{
    Config, Registration,
    config::{REGISTRATION_TOKEN, TERMS},
    engine::{
        auth::{
            passwords,
            threepid::Medium,
            user_lookup::{user_by_identifier, user_by_name},
            validation::Validation,
        },
        context::RequestContext,
        error::{ApiError, HandlerError},
        handler::Handler,
        storage::{rate_limit::Bucket, registration_tokens},
    },
};

/// Tries one stage. A failed stage returns an error that is part of the session's state: it can be tried
/// again. A request that makes no sense fails altogether.
pub(crate) fn try_stage(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    session: &mut UiaSession,
    stage: &str,
    auth: &AuthData,
) -> Result<Option<ApiError>, HandlerError> {
    let config = context.config;
    if !session.has_stage(config, stage) {
        let error = "no flow of this server has this stage";
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
    }
    if session.has_completed(stage) {
        return Ok(None);
    }
    if let Some(error) = session.out_of_order(config, stage) {
        return Ok(Some(error));
    }
    match stage {
        DUMMY | TERMS => session.complete(stage),
        REGISTRATION_TOKEN => {
            let Some(token) = &auth.token else {
                return Ok(Some(ApiError::missing_param("auth/token")));
            };
            return try_registration_token(context, cx.now, session, token.expose());
        }
        RECAPTCHA if config.captcha.is_some() => return Ok(try_captcha(session, auth)),
        _ if is_threepid_stage(config, stage) => {
            return try_threepid(context, cx.now, session, stage, auth);
        }
        PASSWORD if session.is_for_operation() => return try_password(context, cx, session, auth),
        _ => {
            let error = "this stage is completed on its fallback page";
            return Ok(Some(ApiError::new(401, ErrorCode::Unauthorized, error)));
        }
    }
    Ok(None)
}

/// Whether some flow of registration has this stage.
pub(crate) fn registration_has_stage(config: &Config, stage: &str) -> bool {
    config.flows.iter().flatten().any(|it| it == stage)
}

/// Whether a stage validates third-party identifiers, so that no fallback page completes it.
pub(crate) fn is_threepid_stage(config: &Config, stage: &str) -> bool {
    let mut media = Medium::ALL.into_iter();
    media.any(|it| it.stage() == stage && it.is_validated_by(config))
}

/// The captcha stage of tests: any response that begins with `ok` is right.
fn try_captcha(session: &mut UiaSession, auth: &AuthData) -> Option<ApiError> {
    let Some(response) = &auth.response else {
        let error = "auth/response is missing: the response of the captcha";
        return Some(ApiError::new(401, ErrorCode::CaptchaNeeded, error));
    };
    if !response.expose().starts_with("ok") {
        let error = "the response of the captcha is wrong";
        return Some(ApiError::new(401, ErrorCode::Unauthorized, error));
    }
    session.complete(RECAPTCHA);
    None
}

/// The password stage. Only the user of the access token can complete it.
fn try_password(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    session: &mut UiaSession,
    auth: &AuthData,
) -> Result<Option<ApiError>, HandlerError> {
    let Some(password) = &auth.password else {
        return Ok(Some(ApiError::missing_param("auth/password")));
    };
    let bucket = context.login_bucket();
    bucket.check(context.tx, cx.now)?;
    let deprecated_name = auth.extra.get("user").and_then(Value::as_str);
    let found = match &auth.identifier {
        Some(identifier) => user_by_identifier(context, identifier)?,
        None => user_by_name(context, deprecated_name)?,
    };
    let owner = found.filter(|it| Some(it.id) == session.owner());
    if passwords::verify_user(cx, owner, password.expose())?.is_none() {
        bucket.take(context.tx, cx.now)?;
        let error = "the username or the password of the account is wrong";
        return Ok(Some(ApiError::new(401, ErrorCode::Forbidden, error)));
    }
    session.complete(PASSWORD);
    Ok(None)
}

/// The email and telephone number stages. The client names a validation, which must be complete.
fn try_threepid(
    context: &RequestContext<'_>,
    now: Timestamp,
    session: &mut UiaSession,
    stage: &str,
    auth: &AuthData,
) -> Result<Option<ApiError>, HandlerError> {
    let Some(creds) = &auth.threepid_creds else {
        return Ok(Some(ApiError::missing_param("auth/threepid_creds")));
    };
    let found = Validation::find(context.tx, now, &creds.sid, &creds.client_secret)?;
    let right = found.filter(|it| it.threepid.medium.stage() == stage);
    let validated = right.and_then(|it| it.validated_at.map(|at| (it.threepid, at)));
    let Some((threepid, validated_at)) = validated else {
        let error = "this address is not confirmed yet; open the link in the mail or send the \
                     code first";
        return Ok(Some(ApiError::new(401, ErrorCode::Unauthorized, error)));
    };
    session.threepids.push(ValidatedThreepid {
        threepid,
        validated_at,
    });
    session.complete(stage);
    Ok(None)
}

/// The registration token stage. From now on the session counts as a pending use of the token, until it
/// ends.
pub(crate) fn try_registration_token(
    context: &RequestContext<'_>,
    now: Timestamp,
    session: &mut UiaSession,
    token: &str,
) -> Result<Option<ApiError>, HandlerError> {
    // A wrong token counts like a request to the validity endpoint: it reveals as much.
    let bucket = token_bucket(context);
    bucket.check(context.tx, now)?;
    if !registration_tokens::is_valid(context.tx, now, token)? {
        bucket.take(context.tx, now)?;
        let error = "this registration token is wrong, used up or expired";
        return Ok(Some(ApiError::new(401, ErrorCode::Unauthorized, error)));
    }
    session.registration_token = Some(token.to_owned());
    session.complete(REGISTRATION_TOKEN);
    Ok(None)
}

fn token_bucket<'a>(context: &RequestContext<'a>) -> Bucket<'a> {
    context.peer_bucket("token_validity", context.config.limits.token_validity)
}

impl Handler for RegistrationTokenValidity {
    fn precheck(context: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        check_registration_open(context.config)?;
        Ok(token_bucket(context).check_and_take(context.tx, now)?)
    }

    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RegistrationTokenValidityResponse, HandlerError> {
        let valid = registration_has_stage(context.config, REGISTRATION_TOKEN)
            && registration_tokens::is_valid(context.tx, cx.now, self.token.expose())?;
        Ok(RegistrationTokenValidityResponse::new(valid))
    }
}

/// Rejects requests where registration is closed.
pub(crate) fn check_registration_open(config: &Config) -> Result<(), ApiError> {
    match config.registration {
        Registration::Open => Ok(()),
        Registration::Closed => {
            let error = "registration is closed on this server";
            Err(ApiError::new(403, ErrorCode::Forbidden, error))
        }
    }
}
