//! Proving an email address or a phone number: the message is asked for, then its link followed or
//! its code sent on.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#email-based-identity--homeserver>.

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError,
    client::registration::{RequestTokenToRegisterEmail, RequestTokenToRegisterMsisdn},
    uia::{Stage, ThreepidCreds},
};
use matricula_core::{Response, Secret, scheduler::Outcome};

use super::{Phase, Phone, Registration, Turn, questions::Ask};
use crate::{
    Answer, AuthError,
    uia::{CodeRefused, Validation, submitted},
};

impl Registration {
    /// Does the next thing for an address: asks which, asks for a message, or tries the stage.
    pub(super) fn prove(&mut self, stage: Stage, turn: &mut Turn) {
        let Some(address) = self.wished_address(&stage) else {
            let ask = Ask::Address {
                stage,
                refused: None,
            };
            return self.ask(ask, turn);
        };
        let is_it = |one: &&mut Validation| one.stage == stage && one.address == address;
        let sent = self.validations.iter_mut().find(is_it);
        match sent {
            Some(one) if one.is_sent() => match self.wishes.code.take_if(|_| one.has_code()) {
                Some(code) => self.submit(stage, &code, turn),
                None => self.register(Some(stage), turn),
            },
            Some(_) => self.request_message(stage, turn),
            None => {
                self.validations.retain(|one| one.stage != stage);
                self.addresses += 1;
                let secret = format!("{}.{}", self.client_secret.expose(), self.addresses);
                let one = Validation::new(stage.clone(), address, secret.into());
                self.validations.push(one);
                self.request_message(stage, turn);
            }
        }
    }

    fn wished_address(&self, stage: &Stage) -> Option<String> {
        match stage {
            Stage::Msisdn => self.wishes.phone.as_ref().map(ToString::to_string),
            _ => self.wishes.email.clone(),
        }
    }

    pub(super) fn validation(&mut self, stage: &Stage) -> Option<&mut Validation> {
        self.validations.iter_mut().find(|one| one.stage == *stage)
    }

    /// Asks for a message; the same request again sends no second one.
    pub(super) fn request_message(&mut self, stage: Stage, turn: &mut Turn) {
        let server = self.server.clone();
        let phone = self.wishes.phone.clone();
        let Some(one) = self.validation(&stage) else {
            return;
        };
        let secret = one.client_secret.clone();
        let job = match (&stage, phone) {
            (Stage::Msisdn, Some(Phone { country, number })) => {
                RequestTokenToRegisterMsisdn::new(secret, country, number, one.attempt).job(&server)
            }
            _ => RequestTokenToRegisterEmail::new(secret, one.address.as_str(), one.attempt)
                .job(&server),
        };
        self.phase = Phase::RequestingMessage { stage };
        self.send(job, turn);
    }

    pub(super) fn on_message(&mut self, stage: Stage, response: &Response, turn: &mut Turn) {
        match RequestTokenToRegisterEmail::read(response) {
            Ok(answer) => {
                if let Some(one) = self.validation(&stage) {
                    one.sent(answer);
                }
                self.ask_for_proof(stage, None, turn);
            }
            Err(ApiError::Matrix(error)) => self.on_refused_address(&stage, error, turn),
            Err(error) => {
                let error = AuthError::from_api(&self.server, error);
                self.pause(Phase::Paused { elsewhere: false }, error, turn);
            }
        }
    }

    /// The server does not want this address: the person may have another.
    pub(super) fn on_refused_address(
        &mut self,
        stage: &Stage,
        error: MatrixError,
        turn: &mut Turn,
    ) {
        if error.status == 404 || error.status >= 500 || error.code == ErrorCode::Unrecognized {
            let server = self.server.clone();
            let error = AuthError::Refused { server, error };
            return self.pause(Phase::Paused { elsewhere: false }, error, turn);
        }
        let address = self.wished_address(stage).unwrap_or_default();
        self.validations.retain(|one| one.stage != *stage);
        match stage {
            Stage::Msisdn => self.wishes.phone = None,
            _ => self.wishes.email = None,
        }
        let ask = Ask::Address {
            stage: stage.clone(),
            refused: Some((address, error.code, error.message)),
        };
        self.ask(ask, turn);
    }

    /// Asks for the code, or for the link to be followed.
    pub(super) fn ask_for_proof(&mut self, stage: Stage, why: Option<String>, turn: &mut Turn) {
        let Some(one) = self.validation(&stage) else {
            return self.prove(stage, turn);
        };
        let ask = match one.has_code() {
            true => Ask::Code { stage, why },
            false => Ask::Link { stage, why },
        };
        self.ask(ask, turn);
    }

    /// Another message is wanted: with a new number, for the server to send one.
    pub(super) fn send_again(&mut self, stage: Stage, turn: &mut Turn) {
        if let Some(one) = self.validation(&stage) {
            one.again();
        }
        self.prove(stage, turn);
    }

    pub(super) fn submit(&mut self, stage: Stage, code: &Secret, turn: &mut Turn) {
        let server = self.server.clone();
        let Some(one) = self.validation(&stage) else {
            return self.prove(stage, turn);
        };
        let job = match one.submission(&server, code) {
            Ok(job) => job,
            Err(error) => return self.end(Err(error), turn),
        };
        self.phase = Phase::SubmittingCode { stage };
        self.send(job, turn);
    }

    pub(super) fn on_submitted(&mut self, stage: Stage, response: &Response, turn: &mut Turn) {
        match submitted(response) {
            Ok(()) => self.register(Some(stage), turn),
            Err(CodeRefused::TooMany) => {
                let error = AuthError::RateLimited {
                    server: self.server.clone(),
                    retry_after: None,
                };
                self.pause(Phase::Paused { elsewhere: false }, error, turn);
            }
            Err(CodeRefused::Wrong(words)) => self.ask_for_proof(stage, Some(words), turn),
        }
    }

    /// Neither of the two requests makes an account: when no answer comes, they are sent again by
    /// whoever goes on, with the same secret and number.
    pub(super) fn on_lost_message(&mut self, outcome: Outcome, turn: &mut Turn) {
        let error = match outcome {
            Outcome::Failed(error) | Outcome::InDoubt(error) => self.unreachable(error),
            _ => AuthError::Cancelled,
        };
        self.pause(Phase::Paused { elsewhere: false }, error, turn);
    }

    /// What proves the address, for the stage.
    pub(super) fn creds(&self, stage: &Stage) -> Option<ThreepidCreds> {
        let mut validations = self.validations.iter();
        validations.find(|one| one.stage == *stage)?.creds()
    }

    /// Takes over an address that the person typed; `false` where it is none.
    pub(super) fn take_address(&mut self, stage: &Stage, reply: &Answer) -> bool {
        let Answer::Text(text) = reply else {
            return false;
        };
        let text = text.expose().trim();
        if *stage == Stage::Msisdn {
            self.wishes.phone = text.parse().ok();
            self.wishes.phone.is_some()
        } else {
            let is_address = text.contains('@');
            self.wishes.email = is_address.then(|| text.to_owned());
            is_address
        }
    }
}
