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
    Address, Medium,
    confirm::{SUBMIT_CODE, link},
    validation::{LIFETIME, Validation, Wanted},
};
use crate::{
    Registration,
    engine::{
        limits::Bucket,
        outbox,
        redirect::Target,
        refusal::{Fault, Refusal},
        routes::{Call, Serve},
        uia::closed,
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

impl Serve for RequestTokenToRegisterEmail {
    fn admit(call: &Call<'_>, now: Timestamp) -> Result<(), Fault> {
        call.admit_registration()?;
        call.admit_proof(Medium::Email, now)
    }

    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, Fault> {
        let asked = Asked {
            owner: Owner::Nobody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.prove(cx, Address::email(&self.email)?, &asked)
    }
}

impl Serve for RequestTokenToRegisterMsisdn {
    fn admit(call: &Call<'_>, now: Timestamp) -> Result<(), Fault> {
        call.admit_registration()?;
        call.admit_proof(Medium::Msisdn, now)
    }

    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, Fault> {
        let asked = Asked {
            owner: Owner::Nobody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.prove(
            cx,
            Address::msisdn(&self.country, &self.phone_number)?,
            &asked,
        )
    }
}

impl Serve for RequestTokenTo3PidEmail {
    fn admit(call: &Call<'_>, now: Timestamp) -> Result<(), Fault> {
        call.admit_proof(Medium::Email, now)
    }

    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, Fault> {
        let asked = Asked {
            owner: Owner::Nobody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.prove(cx, Address::email(&self.email)?, &asked)
    }
}

impl Serve for RequestTokenTo3PidMsisdn {
    fn admit(call: &Call<'_>, now: Timestamp) -> Result<(), Fault> {
        call.admit_proof(Medium::Msisdn, now)
    }

    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, Fault> {
        let asked = Asked {
            owner: Owner::Nobody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.prove(
            cx,
            Address::msisdn(&self.country, &self.phone_number)?,
            &asked,
        )
    }
}

impl Serve for RequestTokenToResetPasswordEmail {
    fn admit(call: &Call<'_>, now: Timestamp) -> Result<(), Fault> {
        call.admit_proof(Medium::Email, now)
    }

    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, Fault> {
        let asked = Asked {
            owner: Owner::Somebody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.prove(cx, Address::email(&self.email)?, &asked)
    }
}

impl Serve for RequestTokenToResetPasswordMsisdn {
    fn admit(call: &Call<'_>, now: Timestamp) -> Result<(), Fault> {
        call.admit_proof(Medium::Msisdn, now)
    }

    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RequestTokenResponse, Fault> {
        let asked = Asked {
            owner: Owner::Somebody,
            client_secret: &self.client_secret,
            send_attempt: self.send_attempt,
            next_link: self.next_link.as_deref(),
        };
        call.prove(
            cx,
            Address::msisdn(&self.country, &self.phone_number)?,
            &asked,
        )
    }
}

impl Call<'_> {
    fn admit_registration(&self) -> Result<(), Fault> {
        match self.home.config.registration {
            Registration::Closed => Err(closed().into()),
            Registration::Open => Ok(()),
        }
    }

    fn admit_proof(&self, medium: Medium, now: Timestamp) -> Result<(), Fault> {
        if !self.home.config.proves(medium) {
            return Err(Refusal::unrecognized().into());
        }
        let bucket = Bucket {
            kind: "messages",
            limit: self.home.config.limits.messages,
            peer: &self.request.peer,
        };
        bucket.check_and_take(self.tx, now)
    }

    /// Sends what proves the address, if the address can be proved for this.
    fn prove(
        &self,
        cx: &mut StepContext<'_>,
        address: Address,
        asked: &Asked<'_>,
    ) -> Result<RequestTokenResponse, Fault> {
        check_secret(asked.client_secret)?;
        check_next_link(asked.next_link)?;
        self.check_domain(&address)?;
        match asked.owner {
            Owner::Nobody => address.check_free(self.tx)?,
            Owner::Somebody if address.owner(self.tx)?.is_none() => {
                let error = "no account has this address";
                return Err(Refusal::new(400, ErrorCode::ThreepidNotFound, error).into());
            }
            Owner::Somebody => {}
        }
        let wanted = Wanted {
            address,
            client_secret: asked.client_secret,
            send_attempt: asked.send_attempt,
            next_link: asked.next_link,
        };
        let (validation, sent) = Validation::request(cx, self.tx, &wanted)?;
        if let Some(sent) = sent {
            self.send(cx, &validation, &sent)?;
        }
        let answer = RequestTokenResponse::new(validation.sid);
        Ok(match validation.address.medium {
            Medium::Email => answer,
            Medium::Msisdn => answer.submit_url(format!("{}{SUBMIT_CODE}", self.home.base_url)),
        })
    }

    fn send(&self, cx: &StepContext<'_>, validation: &Validation, sent: &str) -> Result<(), Fault> {
        let server = &self.home.config.server_name;
        let address = &validation.address.address;
        let (recipient, subject, body) = match validation.address.medium {
            Medium::Email => (
                address.clone(),
                format!("Confirm your address for {server}"),
                format!(
                    "Somebody, most likely you, told {server} that\n{address} is their \
                     address.\n\nIf it was you, open this page and press the button on it. It works \
                     for a day.\n\n{}\n\nIf it was not you, do nothing.\n",
                    link(self.home, sent)
                ),
            ),
            Medium::Msisdn => (
                format!(
                    "{address}@{}",
                    self.home.config.sms_gateway().unwrap_or_default()
                ),
                server.clone(),
                format!("{sent} is your code for {server}.\n"),
            ),
        };
        let letter = outbox::OutgoingMail {
            recipient: &recipient,
            subject: &subject,
            body: &body,
        };
        outbox::put(self.tx, cx.now, cx.now.plus(LIFETIME), &letter)
    }

    fn check_domain(&self, address: &Address) -> Result<(), Refusal> {
        let messages = self.home.config.messages.as_ref();
        let domains = messages.map_or(&[] as &[String], |it| &it.domains);
        let domain = address.address.rsplit('@').next().unwrap_or_default();
        let is_welcome = domains.iter().any(|it| it.eq_ignore_ascii_case(domain));
        if address.medium == Medium::Msisdn || domains.is_empty() || is_welcome {
            return Ok(());
        }
        let error = "addresses of this domain are not taken here";
        Err(Refusal::new(403, ErrorCode::ThreepidDenied, error))
    }
}

/// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registeremailrequesttoken
fn check_secret(secret: &Secret) -> Result<(), Refusal> {
    let secret = secret.expose();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".=_-".contains(&byte);
    if (1..=255).contains(&secret.len()) && secret.bytes().all(allowed) {
        return Ok(());
    }
    let error = "client_secret has 1 to 255 of the characters A-Z a-z 0-9 . = _ -";
    Err(Refusal::new(400, ErrorCode::InvalidParam, error))
}

fn check_next_link(link: Option<&str>) -> Result<(), Refusal> {
    let is_web = |target: Target| matches!(target.url().scheme(), "http" | "https");
    if link.is_none_or(|link| Target::parse(link).is_some_and(is_web)) {
        return Ok(());
    }
    let error = "next_link is not an address of the web that a browser could be led to";
    Err(Refusal::new(400, ErrorCode::InvalidParam, error))
}
