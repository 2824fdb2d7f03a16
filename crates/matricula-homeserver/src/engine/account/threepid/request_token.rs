//! Requests for a message that validates a third-party identifier.

use matricula_api::{
    ErrorCode,
    client::{
        administrative_contact::{RequestTokenTo3PidEmail, RequestTokenTo3PidMsisdn},
        definitions::RequestTokenResponse,
        password_management::{
            RequestTokenToResetPasswordEmail, RequestTokenToResetPasswordMsisdn,
        },
        registration::{RequestTokenToRegisterEmail, RequestTokenToRegisterMsisdn},
    },
    server::ServerEndpoint,
};
use matricula_core::{Secret, StepContext, Timestamp};

use super::confirm::{EMAIL_PATH, MSISDN_PATH};
use crate::{
    Config,
    engine::{
        auth::{
            threepid::{Medium, Threepid},
            uia::stages::check_registration_open,
            validation::{LIFETIME, Validation, ValidationRequest},
        },
        context::RequestContext,
        error::{ApiError, HandlerError},
        handler::Handler,
        html::redirect::RedirectTarget,
        outbox::mail::{NewMail, enqueue},
    },
};

/// What the identifier is validated for.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    /// To register with it.
    Register,
    /// To add it to an account.
    Add,
    /// To reset the password of its account.
    ResetPassword,
}

/// What the six requests have in common.
trait RequestToken: ServerEndpoint<Response = RequestTokenResponse> {
    const PURPOSE: Purpose;
    const MEDIUM: Medium;

    /// The request as a [`ValidationRequest`].
    fn validation_request(&self) -> Result<ValidationRequest<'_>, ApiError>;
}

macro_rules! request_token {
    ($request:ty, $purpose:ident, $medium:ident, |$it:ident| $threepid:expr) => {
        impl RequestToken for $request {
            const PURPOSE: Purpose = Purpose::$purpose;
            const MEDIUM: Medium = Medium::$medium;

            fn validation_request(&self) -> Result<ValidationRequest<'_>, ApiError> {
                let $it = self;
                Ok(ValidationRequest {
                    threepid: $threepid?,
                    client_secret: &self.client_secret,
                    send_attempt: self.send_attempt,
                    next_link: self.next_link.as_deref(),
                })
            }
        }
    };
}

request_token!(RequestTokenToRegisterEmail, Register, Email, |it| {
    Threepid::email(&it.email)
});
request_token!(RequestTokenToRegisterMsisdn, Register, Msisdn, |it| {
    Threepid::msisdn(&it.country, &it.phone_number)
});
request_token!(RequestTokenTo3PidEmail, Add, Email, |it| {
    Threepid::email(&it.email)
});
request_token!(RequestTokenTo3PidMsisdn, Add, Msisdn, |it| {
    Threepid::msisdn(&it.country, &it.phone_number)
});
request_token!(
    RequestTokenToResetPasswordEmail,
    ResetPassword,
    Email,
    |it| { Threepid::email(&it.email) }
);
request_token!(
    RequestTokenToResetPasswordMsisdn,
    ResetPassword,
    Msisdn,
    |it| { Threepid::msisdn(&it.country, &it.phone_number) }
);

impl<T: RequestToken> Handler for T {
    fn precheck(context: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        let config = context.config;
        if T::PURPOSE == Purpose::Register {
            check_registration_open(config)?;
        }
        if !T::MEDIUM.is_validated_by(config) {
            return Err(ApiError::unrecognized().into());
        }
        let bucket = context.peer_bucket("messages", config.limits.validation_messages);
        Ok(bucket.check_and_take(context.tx, now)?)
    }

    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, HandlerError> {
        start_validation(context, cx, T::PURPOSE, &self.validation_request()?)
    }
}

/// Sends a message, if the identifier can be validated for the purpose.
fn start_validation(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    purpose: Purpose,
    request: &ValidationRequest<'_>,
) -> Result<RequestTokenResponse, HandlerError> {
    check_secret(request.client_secret)?;
    check_next_link(request.next_link)?;
    check_domain(context.config, &request.threepid)?;
    if purpose != Purpose::ResetPassword {
        request.threepid.check_free(context.tx)?;
    } else if request.threepid.owner(context.tx)?.is_none() {
        let error = "no account has this address";
        return Err(ApiError::new(400, ErrorCode::ThreepidNotFound, error).into());
    }
    let (validation, sent) = Validation::start(cx, context.tx, &context.request.peer, request)?;
    if let Some(sent) = sent {
        send(context, cx, &validation, &sent)?;
    }
    let response = RequestTokenResponse::new(validation.sid.as_str());
    Ok(match validation.threepid.medium {
        Medium::Email => response,
        Medium::Msisdn => response.submit_url(context.url(MSISDN_PATH)),
    })
}

/// Sends the link or code of a validation.
fn send(
    context: &RequestContext<'_>,
    cx: &StepContext<'_>,
    validation: &Validation,
    token: &str,
) -> Result<(), HandlerError> {
    let server = &context.config.server_name;
    let address = &validation.threepid.address;
    let (recipient, subject, body) = match validation.threepid.medium {
        Medium::Email => (
            address.clone(),
            format!("Confirm your address for {server}"),
            format!(
                "An account on {server} is to use the address\n{address}.\n\nIf you requested this, \
                 open this page and press the button on it. The link works for a \
                 day.\n\n{}?token={token}\n\nIf you did not request it, ignore this mail.\n",
                context.url(EMAIL_PATH)
            ),
        ),
        Medium::Msisdn => {
            let mail = context.config.mail.as_ref();
            let gateway = mail.and_then(|it| it.sms_gateway.as_deref());
            (
                format!("{address}@{}", gateway.unwrap_or_default()),
                server.clone(),
                format!("{token} is your code for {server}.\n"),
            )
        }
    };
    let mail = NewMail {
        recipient: &recipient,
        subject: &subject,
        body: &body,
    };
    enqueue(context.tx, cx.now, cx.now.plus(LIFETIME), &mail)
}

fn check_domain(config: &Config, threepid: &Threepid) -> Result<(), ApiError> {
    let domains = config
        .mail
        .as_ref()
        .map_or(&[] as &[String], |it| &it.domains);
    let domain = threepid.address.rsplit('@').next().unwrap_or_default();
    let is_allowed = domains.iter().any(|it| it.eq_ignore_ascii_case(domain));
    if threepid.medium == Medium::Msisdn || domains.is_empty() || is_allowed {
        return Ok(());
    }
    let error = "this server does not allow addresses of this domain";
    Err(ApiError::new(403, ErrorCode::ThreepidDenied, error))
}

/// Checks the [grammar](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registeremailrequesttoken)
/// of a client secret.
fn check_secret(secret: &Secret) -> Result<(), ApiError> {
    let secret = secret.expose();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".=_-".contains(&byte);
    if (1..=255).contains(&secret.len()) && secret.bytes().all(allowed) {
        return Ok(());
    }
    let error = "client_secret must have 1 to 255 of the characters A-Z a-z 0-9 . = _ -";
    Err(ApiError::new(400, ErrorCode::InvalidParam, error))
}

fn check_next_link(link: Option<&str>) -> Result<(), ApiError> {
    let is_web = |target: RedirectTarget| matches!(target.url().scheme(), "http" | "https");
    if link.is_none_or(|link| RedirectTarget::parse(link).is_some_and(is_web)) {
        return Ok(());
    }
    let error = "next_link is not a web URL that a browser may be redirected to";
    Err(ApiError::new(400, ErrorCode::InvalidParam, error))
}
