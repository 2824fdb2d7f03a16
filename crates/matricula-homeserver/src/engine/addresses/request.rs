//! Asking for a message that proves an address.

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
};
use matricula_core::{Secret, StepContext, Timestamp};

use super::{
    Medium, Threepid,
    confirm::{SUBMIT_CODE, link},
    validation::{LIFETIME, Validation, ValidationRequest},
};
use crate::{
    Registration,
    engine::{
        limits::Bucket,
        outbox,
        redirect::RedirectTarget,
        refusal::{ApiError, HandlerError},
        routes::{Handler, RequestContext},
        uia::registration_closed,
    },
};

/// What must be true of the address.
#[derive(Clone, Copy)]
enum Owner {
    Nobody,
    Somebody,
}

/// What all these requests have in common.
struct Asked<'a> {
    owner: Owner,
    client_secret: &'a Secret,
    send_attempt: u64,
    next_link: Option<&'a str>,
}

impl Handler for RequestTokenToRegisterEmail {
    fn precheck(call: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        call.admit_registration()?;
        call.precheck_validation(Medium::Email, now)
    }

    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, HandlerError> {
        let asked = Asked {
            owner: Owner::Nobody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.start_validation(cx, Threepid::email(&self.email)?, &asked)
    }
}

impl Handler for RequestTokenToRegisterMsisdn {
    fn precheck(call: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        call.admit_registration()?;
        call.precheck_validation(Medium::Msisdn, now)
    }

    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, HandlerError> {
        let asked = Asked {
            owner: Owner::Nobody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.start_validation(
            cx,
            Threepid::msisdn(&self.country, &self.phone_number)?,
            &asked,
        )
    }
}

impl Handler for RequestTokenTo3PidEmail {
    fn precheck(call: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        call.precheck_validation(Medium::Email, now)
    }

    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, HandlerError> {
        let asked = Asked {
            owner: Owner::Nobody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.start_validation(cx, Threepid::email(&self.email)?, &asked)
    }
}

impl Handler for RequestTokenTo3PidMsisdn {
    fn precheck(call: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        call.precheck_validation(Medium::Msisdn, now)
    }

    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, HandlerError> {
        let asked = Asked {
            owner: Owner::Nobody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.start_validation(
            cx,
            Threepid::msisdn(&self.country, &self.phone_number)?,
            &asked,
        )
    }
}

impl Handler for RequestTokenToResetPasswordEmail {
    fn precheck(call: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        call.precheck_validation(Medium::Email, now)
    }

    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, HandlerError> {
        let asked = Asked {
            owner: Owner::Somebody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.start_validation(cx, Threepid::email(&self.email)?, &asked)
    }
}

impl Handler for RequestTokenToResetPasswordMsisdn {
    fn precheck(call: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        call.precheck_validation(Medium::Msisdn, now)
    }

    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, HandlerError> {
        let asked = Asked {
            owner: Owner::Somebody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.start_validation(
            cx,
            Threepid::msisdn(&self.country, &self.phone_number)?,
            &asked,
        )
    }
}

impl RequestContext<'_> {
    fn admit_registration(&self) -> Result<(), HandlerError> {
        match self.homeserver.config.registration {
            Registration::Closed => Err(registration_closed().into()),
            Registration::Open => Ok(()),
        }
    }

    fn precheck_validation(&self, medium: Medium, now: Timestamp) -> Result<(), HandlerError> {
        if !self.homeserver.config.can_validate(medium) {
            return Err(ApiError::unrecognized().into());
        }
        let bucket = Bucket {
            kind: "messages",
            limit: self.homeserver.config.limits.validation_messages,
            key: &self.request.peer,
        };
        bucket.check_and_take(self.tx, now)
    }

    /// Sends what proves the address, if the address can be proved for this.
    fn start_validation(
        &self,
        cx: &mut StepContext<'_>,
        address: Threepid,
        asked: &Asked<'_>,
    ) -> Result<RequestTokenResponse, HandlerError> {
        check_secret(asked.client_secret)?;
        check_next_link(asked.next_link)?;
        self.check_domain(&address)?;
        match asked.owner {
            Owner::Nobody => address.check_free(self.tx)?,
            Owner::Somebody if address.owner(self.tx)?.is_none() => {
                let error = "no account has this address";
                return Err(ApiError::new(400, ErrorCode::ThreepidNotFound, error).into());
            }
            Owner::Somebody => {}
        }
        let wanted = ValidationRequest {
            threepid: address,
            client_secret: asked.client_secret,
            send_attempt: asked.send_attempt,
            next_link: asked.next_link,
        };
        let (validation, sent) = Validation::start(cx, self.tx, &wanted)?;
        if let Some(sent) = sent {
            self.send_validation(cx, &validation, &sent)?;
        }
        let answer = RequestTokenResponse::new(validation.sid);
        Ok(match validation.threepid.medium {
            Medium::Email => answer,
            Medium::Msisdn => {
                answer.submit_url(format!("{}{SUBMIT_CODE}", self.homeserver.base_url))
            }
        })
    }

    fn send_validation(
        &self,
        cx: &StepContext<'_>,
        validation: &Validation,
        sent: &str,
    ) -> Result<(), HandlerError> {
        let server = &self.homeserver.config.server_name;
        let address = &validation.threepid.address;
        let (recipient, subject, body) = match validation.threepid.medium {
            Medium::Email => (
                address.clone(),
                format!("Confirm your address for {server}"),
                format!(
                    "Somebody, most likely you, told {server} that\n{address} is their \
                     address.\n\nIf it was you, open this page and press the button on it. It works \
                     for a day.\n\n{}\n\nIf it was not you, do nothing.\n",
                    link(self.homeserver, sent)
                ),
            ),
            Medium::Msisdn => (
                format!(
                    "{address}@{}",
                    self.homeserver.config.sms_gateway().unwrap_or_default()
                ),
                server.clone(),
                format!("{sent} is your code for {server}.\n"),
            ),
        };
        let letter = outbox::NewMail {
            recipient: &recipient,
            subject: &subject,
            body: &body,
        };
        outbox::enqueue(self.tx, cx.now, cx.now.plus(LIFETIME), &letter)
    }

    fn check_domain(&self, address: &Threepid) -> Result<(), ApiError> {
        let messages = self.homeserver.config.mail.as_ref();
        let domains = messages.map_or(&[] as &[String], |it| &it.domains);
        let domain = address.address.rsplit('@').next().unwrap_or_default();
        let is_welcome = domains.iter().any(|it| it.eq_ignore_ascii_case(domain));
        if address.medium == Medium::Msisdn || domains.is_empty() || is_welcome {
            return Ok(());
        }
        let error = "addresses of this domain are not taken here";
        Err(ApiError::new(403, ErrorCode::ThreepidDenied, error))
    }
}

/// Checks the [grammar](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registeremailrequesttoken) of a client secret.
fn check_secret(secret: &Secret) -> Result<(), ApiError> {
    let secret = secret.expose();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".=_-".contains(&byte);
    if (1..=255).contains(&secret.len()) && secret.bytes().all(allowed) {
        return Ok(());
    }
    let error = "client_secret has 1 to 255 of the characters A-Z a-z 0-9 . = _ -";
    Err(ApiError::new(400, ErrorCode::InvalidParam, error))
}

fn check_next_link(link: Option<&str>) -> Result<(), ApiError> {
    let is_web = |target: RedirectTarget| matches!(target.url().scheme(), "http" | "https");
    if link.is_none_or(|link| RedirectTarget::parse(link).is_some_and(is_web)) {
        return Ok(());
    }
    let error = "next_link is not an address of the web that a browser could be led to";
    Err(ApiError::new(400, ErrorCode::InvalidParam, error))
}
