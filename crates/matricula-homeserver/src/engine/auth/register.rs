//! [Registration](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register) of
//! users and guests.

use std::borrow::Cow;

use matricula_api::{
    ErrorCode,
    client::registration::{
        CheckUsernameAvailability, CheckUsernameAvailabilityResponse, Register, RegisterKind,
        RegisterResponse,
    },
};
use matricula_core::{StepContext, Timestamp};
use serde_json::Value;

use super::{
    appservice, localpart, passwords,
    session::{DeviceParams, sign_in},
    uia::stages::check_registration_open,
    uia::{
        APPLICATION_SERVICE, BodyWithoutAuth, RegistrationParams, UiaSession, authenticate,
        other_request, unknown_session,
    },
};
use crate::engine::{
    Request,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::{Handler, check_text_length},
    keys,
    storage::{
        tokens,
        users::{self, NewUser},
    },
};

impl Handler for Register {
    fn precheck(context: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        Ok(context.registration_bucket().check(context.tx, now)?)
    }

    /// Of a guest's request only the name of the device counts. The server ignores the rest, even if it
    /// is invalid.
    fn effective_body(request: &Request) -> Cow<'_, [u8]> {
        if request.query("kind") != Some(RegisterKind::Guest.as_str()) {
            return Cow::Borrowed(&request.body);
        }
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(&request.body) else {
            return Cow::Borrowed(&request.body);
        };
        fields.retain(|name, _| name == "initial_device_display_name");
        Cow::Owned(Value::Object(fields).to_string().into_bytes())
    }

    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RegisterResponse, HandlerError> {
        match self.kind {
            None | Some(RegisterKind::User) => register_user(context, cx, &self),
            Some(RegisterKind::Guest) => register_guest(context, cx, &self),
            _ => {
                let error = "the kind of an account is user or guest";
                Err(ApiError::new(400, ErrorCode::Unrecognized, error).into())
            }
        }
    }
}

impl Handler for CheckUsernameAvailability {
    fn precheck(context: &RequestContext<'_>, _: Timestamp) -> Result<(), HandlerError> {
        Ok(check_registration_open(context.config)?)
    }

    fn handle(
        self,
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<CheckUsernameAvailabilityResponse, HandlerError> {
        available_localpart(context, &self.username, None)?;
        Ok(CheckUsernameAvailabilityResponse::default().available(true))
    }
}

fn register_user(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    request: &Register,
) -> Result<RegisterResponse, HandlerError> {
    let (config, tx) = (context.config, context.tx);
    if request.login_type.as_deref() == Some(APPLICATION_SERVICE) {
        return register_by_service(context, cx, request);
    }
    let token = context.access_token();
    if token.is_some_and(|it| config.service_by_token(it).is_some()) {
        let error = "an application service registers users with the type \
                     m.login.application_service";
        return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
    }
    if config.is_oauth_only() {
        let error = "accounts are created on the page of the authorization server";
        return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
    }
    check_registration_open(config)?;
    let auth = request.auth.as_ref();
    let mut session = match auth.and_then(|auth| auth.session.as_deref()) {
        Some(id) => UiaSession::load(tx, cx.now, id)?,
        None => UiaSession::new(cx),
    };
    let body = BodyWithoutAuth::of(&context.request.body);
    if let Some(result) = &session.result {
        if !session.is_for_body(&body) {
            return Err(other_request());
        }
        return Err(repeated_response(context, result)?);
    }
    // Checked in each request, before the person does any stage for nothing.
    let localpart = merge_params(context, cx, &mut session.params, request)?;
    authenticate(context, cx, &mut session, auth)?;
    let Some(password_hash) = session.params.password_hash.take() else {
        session.save(context, cx.now)?;
        return Err(ApiError::missing_param("password").into());
    };
    for validated in &session.threepids {
        validated.threepid.check_free(tx)?;
    }
    context.registration_bucket().take(tx, cx.now)?;
    let account = NewUser {
        localpart: localpart.as_deref(),
        password_hash: Some(&password_hash),
        accepted_policies: session.accepted_policies(),
        is_guest: false,
    };
    let user = match session.params.guest {
        Some(guest) => {
            keys::delete_all_device_keys(context, guest)?;
            account.replace_guest(tx, guest)?
        }
        None => account.insert(tx, cx.now)?,
    };
    for validated in &session.threepids {
        let at = validated.validated_at;
        validated.threepid.add_to_user(tx, cx.now, user, at)?;
    }
    session.count_token_use(tx)?;
    session.user = Some(user);
    session.bind_to(&body);
    session.finish(context, cx.now)?;
    registration_response(context, cx, user, &session.params)
}

/// Repeats the response of a finished session, as long as its access token is valid: once the device is
/// signed out, the session must not be a way back in.
fn repeated_response(
    context: &RequestContext<'_>,
    result: &[u8],
) -> Result<HandlerError, HandlerError> {
    let response: RegisterResponse = serde_json::from_slice(result)?;
    if let Some(token) = &response.access_token
        && tokens::find_access_token(context.tx, token.expose())?.is_none()
    {
        return Ok(unknown_session());
    }
    Ok(HandlerError::Repeated(result.to_vec()))
}

fn register_guest(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    request: &Register,
) -> Result<RegisterResponse, HandlerError> {
    let config = context.config;
    if !config.guests || config.is_oauth_only() {
        let error = "this server does not allow guests; register as a user";
        return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
    }
    let name = request.initial_device_display_name.as_deref();
    check_text_length("initial_device_display_name", name)?;
    context.registration_bucket().take(context.tx, cx.now)?;
    let guest = NewUser {
        is_guest: true,
        ..NewUser::default()
    };
    let user = guest.insert(context.tx, cx.now)?;
    let params = RegistrationParams {
        display_name: name.map(str::to_owned),
        ..RegistrationParams::default()
    };
    registration_response(context, cx, user, &params)
}

fn register_by_service(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    request: &Register,
) -> Result<RegisterResponse, HandlerError> {
    let user = appservice::register_user(context, cx.now, request)?;
    let params = RegistrationParams {
        device_id: request.device_id.clone(),
        display_name: request.initial_device_display_name.clone(),
        inhibit_login: request.inhibit_login,
        refresh_token: request.refresh_token,
        ..RegistrationParams::default()
    };
    registration_response(context, cx, user, &params)
}

/// Merges the parameters of a request into those of its session, and checks them. Returns the localpart
/// of the account, if the client has chosen one.
fn merge_params(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    params: &mut RegistrationParams,
    request: &Register,
) -> Result<Option<String>, HandlerError> {
    if params.guest.is_none()
        && let Some(token) = &request.guest_access_token
    {
        params.guest = Some(guest_by_token(context, token.expose())?);
    }
    let localpart = merge_username(context, params, request.username.as_deref())?;
    if params.password_hash.is_none()
        && let Some(password) = &request.password
    {
        let password = password.expose();
        passwords::check(&context.config.password_policy, password)?;
        params.password_hash = Some(passwords::hash(cx, password)?);
    }
    let device = DeviceParams::new(
        request.device_id.as_deref(),
        request.initial_device_display_name.as_deref(),
        request.refresh_token,
    )?;
    let or = |first: Option<String>, given: Option<&str>| first.or(given.map(str::to_owned));
    params.device_id = or(params.device_id.take(), device.device_id);
    params.display_name = or(params.display_name.take(), device.display_name);
    params.inhibit_login = params.inhibit_login.or(request.inhibit_login);
    params.refresh_token = params.refresh_token.or(request.refresh_token);
    Ok(localpart)
}

fn merge_username(
    context: &RequestContext<'_>,
    params: &mut RegistrationParams,
    given: Option<&str>,
) -> Result<Option<String>, HandlerError> {
    let Some(first) = params.username.clone().or(given.map(str::to_owned)) else {
        return match params.guest {
            Some(_) => Err(ApiError::missing_param("username").into()),
            None => Ok(None),
        };
    };
    let available = available_localpart(context, &first, params.guest);
    let (username, localpart) = match (available, given) {
        (Ok(localpart), _) => (first, localpart),
        // The first username was taken meanwhile: the session may continue with another.
        (Err(HandlerError::Api(_)), Some(given)) => {
            let localpart = available_localpart(context, given, params.guest)?;
            (given.to_owned(), localpart)
        }
        (Err(error), _) => return Err(error),
    };
    params.username = Some(username);
    Ok(Some(localpart))
}

/// The localpart of a username, if it is available. A guest who registers keeps the localpart.
pub(crate) fn available_localpart(
    context: &RequestContext<'_>,
    username: &str,
    guest: Option<i64>,
) -> Result<String, HandlerError> {
    let localpart = localpart::new_localpart(context.config, username, guest.is_some())?;
    match (guest, users::find(context.tx, &localpart)?) {
        (None, None) => Ok(localpart),
        (Some(guest), Some(owner)) if owner.is_guest && guest == owner.id => Ok(localpart),
        (Some(_), None) => {
            let error = "a guest who registers keeps the username";
            Err(ApiError::new(403, ErrorCode::Forbidden, error).into())
        }
        _ => {
            let error = "this username is taken; choose another";
            Err(ApiError::new(400, ErrorCode::UserInUse, error).into())
        }
    }
}

/// Signs a new user in, unless the client asked not to, and builds the response.
pub(crate) fn registration_response(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    user: i64,
    params: &RegistrationParams,
) -> Result<RegisterResponse, HandlerError> {
    let localpart = users::get(context.tx, user)?.localpart;
    let response = RegisterResponse::new(localpart::user_id(context.config, &localpart)?);
    if params.inhibit_login.unwrap_or(false) {
        return Ok(response);
    }
    let device = DeviceParams {
        device_id: params.device_id.as_deref(),
        display_name: params.display_name.as_deref(),
        refresh_token: params.refresh_token.unwrap_or(false),
        lifetime: None,
    };
    let (device_id, tokens) = sign_in(context, cx, user, device)?;
    Ok(RegisterResponse {
        access_token: Some(tokens.access),
        refresh_token: tokens.refresh,
        expires_in_ms: tokens.lifetime,
        device_id: Some(device_id),
        ..response
    })
}

fn guest_by_token(context: &RequestContext<'_>, token: &str) -> Result<i64, HandlerError> {
    match tokens::find_access_token(context.tx, token)? {
        Some(token) if token.is_guest => Ok(token.user),
        _ => {
            let error = "guest_access_token is not a guest's access token";
            Err(ApiError::new(403, ErrorCode::Forbidden, error).into())
        }
    }
}
