//! The email address and the phone number of a registration, and their validation: the server sends a
//! message, then the person opens its link or types its code.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#email-based-identity--homeserver>.

use matricula_api::{
    Endpoint,
    client::registration::{RequestTokenToRegisterEmail, RequestTokenToRegisterMsisdn},
    uia::{Stage, ThreepidCreds},
};
use matricula_core::{Entropy, Job, Secret, ServerUrl, secret::exposed};
use serde::{Deserialize, Serialize};

use super::{Phone, RegistrationOptions};
use crate::{Answer, random, uia::Validation};

/// The addresses of a registration and how far their validation is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Threepids {
    pub(super) email: Option<String>,
    pub(super) phone: Option<Phone>,
    /// The code of a message, if it is known in advance.
    #[serde(with = "exposed", default)]
    code: Option<Secret>,
    /// The prefix of the client secrets of all validations. It is stored before the first is sent, so that
    /// no crash leads to a second message.
    #[serde(with = "exposed", default)]
    client_secret: Secret,
    validations: Vec<Validation>,
    /// How many validations were begun.
    begun: u32,
}

/// What the validation of an address needs next.
pub(super) enum ThreepidNext {
    /// An address.
    Address,
    /// A message from the server.
    Message,
    /// To submit this code.
    Submit(Secret),
    /// Nothing: the server can be asked whether it is validated.
    Complete,
}

impl Threepids {
    /// Makes the secret that validations need.
    pub(super) fn generate_secret(&mut self, entropy: &mut dyn Entropy) {
        if self.client_secret.is_empty() {
            self.client_secret = random::client_secret(entropy);
        }
    }

    /// Takes the addresses and the code out of the options. An address that is given again gets another
    /// message.
    pub(super) fn take_from(&mut self, options: &mut RegistrationOptions) {
        let (email, phone) = (options.email.take(), options.phone.take());
        let given = [email.clone(), phone.as_ref().map(ToString::to_string)];
        for one in &mut self.validations {
            if one.is_sent() && given.iter().flatten().any(|text| *text == one.address) {
                one.again();
            }
        }
        self.email = email.or(self.email.take());
        self.phone = phone.or(self.phone.take());
        self.code = options.code.take().or(self.code.take());
    }

    /// The address for a stage.
    pub(super) fn address(&self, stage: &Stage) -> Option<String> {
        match stage {
            Stage::Msisdn => self.phone.as_ref().map(ToString::to_string),
            _ => self.email.clone(),
        }
    }

    /// The validation for a stage.
    pub(super) fn validation(&mut self, stage: &Stage) -> Option<&mut Validation> {
        self.validations.iter_mut().find(|one| one.stage == *stage)
    }

    /// What the stage needs next.
    pub(super) fn next(&mut self, stage: &Stage) -> ThreepidNext {
        let Some(address) = self.address(stage) else {
            return ThreepidNext::Address;
        };
        let is_same = |one: &&Validation| one.stage == *stage && one.address == address;
        match self.validations.iter().find(is_same) {
            Some(one) if one.is_sent() => match self.code.take_if(|_| one.has_code()) {
                Some(code) => ThreepidNext::Submit(code),
                None => ThreepidNext::Complete,
            },
            Some(_) => ThreepidNext::Message,
            None => {
                self.validations.retain(|one| one.stage != *stage);
                self.begun += 1;
                let secret = format!("{}.{}", self.client_secret.expose(), self.begun);
                let one = Validation::new(stage.clone(), address, secret.into());
                self.validations.push(one);
                ThreepidNext::Message
            }
        }
    }

    /// The request for a message. Sent again, it leads to no second message.
    pub(super) fn message_request(&mut self, stage: &Stage, server: &ServerUrl) -> Option<Job> {
        let phone = self.phone.clone();
        let one = self.validation(stage)?;
        let (secret, attempt) = (one.client_secret.clone(), one.attempt);
        Some(match (stage, phone) {
            (Stage::Msisdn, Some(Phone { country, number })) => {
                RequestTokenToRegisterMsisdn::new(secret, country, number, attempt).job(server)
            }
            _ => {
                RequestTokenToRegisterEmail::new(secret, one.address.as_str(), attempt).job(server)
            }
        })
    }

    /// Drops the address that the server refused, and returns it.
    pub(super) fn refuse(&mut self, stage: &Stage) -> String {
        let address = self.address(stage).unwrap_or_default();
        self.validations.retain(|one| one.stage != *stage);
        match stage {
            Stage::Msisdn => self.phone = None,
            _ => self.email = None,
        }
        address
    }

    /// The credentials that prove the address of a stage.
    pub(super) fn creds(&self, stage: &Stage) -> Option<ThreepidCreds> {
        let mut validations = self.validations.iter();
        validations.find(|one| one.stage == *stage)?.creds()
    }

    /// Takes an address that the person typed; `false` if it is not an address.
    pub(super) fn accept(&mut self, stage: &Stage, answer: &Answer) -> bool {
        let Answer::Text(text) = answer else {
            return false;
        };
        let text = text.expose().trim();
        if *stage == Stage::Msisdn {
            self.phone = text.parse().ok();
            self.phone.is_some()
        } else {
            self.email = text.contains('@').then(|| text.to_owned());
            self.email.is_some()
        }
    }
}
