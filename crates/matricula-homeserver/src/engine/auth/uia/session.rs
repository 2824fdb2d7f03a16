//! Sessions of user-interactive authentication, and their flows.

use std::collections::BTreeMap;

use matricula_api::ErrorCode;
use matricula_core::{StepContext, Timestamp};
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use super::body::{BodyWithoutAuth, Sealed, seal};
use crate::{
    Config,
    config::TERMS,
    engine::{
        auth::threepid::{Medium, Threepid},
        context::RequestContext,
        error::{ApiError, HandlerError},
        storage::{
            registration_tokens,
            uia_sessions::{self, UiaSessionRow},
        },
        util::ALPHANUMERIC,
    },
};

pub(crate) const DUMMY: &str = "m.login.dummy";
pub(crate) const PASSWORD: &str = "m.login.password";
pub(crate) const RECAPTCHA: &str = "m.login.recaptcha";
pub(crate) const APPLICATION_SERVICE: &str = "m.login.application_service";

/// The parameters of a registration, merged from the requests of its session. The first value of a
/// parameter counts: later requests may leave it out and cannot change it. Of a password only the hash
/// is stored.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct RegistrationParams {
    pub(crate) username: Option<String>,
    pub(crate) password_hash: Option<String>,
    pub(crate) device_id: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) inhibit_login: Option<bool>,
    pub(crate) refresh_token: Option<bool>,
    /// The guest account that becomes a user's.
    pub(crate) guest: Option<i64>,
}

/// An operation that needs authentication again, because a stolen access token must not suffice.
#[derive(Clone, PartialEq)]
pub(crate) struct ProtectedOperation {
    /// The user; none where a password is reset without access token.
    pub(crate) owner: Option<i64>,
    /// The device of the user; none where an application service acts as the user, too.
    pub(crate) device: Option<String>,
    /// The method and path of the request.
    pub(crate) endpoint: String,
}

/// A third-party identifier that was validated in a session.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ValidatedThreepid {
    pub(crate) threepid: Threepid,
    pub(crate) validated_at: i64,
}

/// One authentication over several requests: for a registration or for a protected operation.
pub(crate) struct UiaSession {
    pub(super) id: String,
    is_stored: bool,
    /// None for a registration.
    operation: Option<ProtectedOperation>,
    pub(super) completed: Vec<String>,
    /// The versions of the policies that the person was shown, as JSON.
    presented_policies: Option<String>,
    pub(crate) registration_token: Option<String>,
    pub(crate) threepids: Vec<ValidatedThreepid>,
    pub(crate) params: RegistrationParams,
    /// The account that was created in the session.
    pub(crate) user: Option<i64>,
    /// The digest of the body that the session is bound to.
    body_digest: Option<Vec<u8>>,
    /// The first body of an operation, encrypted.
    body: Option<Vec<u8>>,
    /// The body of the response, once the session is finished.
    pub(crate) result: Option<Vec<u8>>,
}

impl UiaSession {
    /// A new session for a registration, not stored yet.
    pub(crate) fn new(cx: &mut StepContext<'_>) -> Self {
        Self {
            id: cx.entropy.text(ALPHANUMERIC, 32),
            is_stored: false,
            operation: None,
            completed: Vec::new(),
            presented_policies: None,
            registration_token: None,
            threepids: Vec::new(),
            params: RegistrationParams::default(),
            user: None,
            body_digest: None,
            body: None,
            result: None,
        }
    }

    /// A new session for this operation and this body of its request, not stored yet.
    pub(crate) fn for_operation(
        cx: &mut StepContext<'_>,
        operation: ProtectedOperation,
        body: &BodyWithoutAuth,
    ) -> Self {
        let session = Self::new(cx);
        Self {
            operation: Some(operation),
            body_digest: Some(body.digest()),
            body: body.seal(&session.id),
            ..session
        }
    }

    /// Loads the session of a registration.
    pub(crate) fn load(
        tx: &Transaction<'_>,
        now: Timestamp,
        id: &str,
    ) -> Result<Self, HandlerError> {
        match Self::find(tx, now, id)? {
            Some(session) if session.operation.is_none() => Ok(session),
            _ => Err(unknown_session()),
        }
    }

    /// Loads the session of a protected operation, which must have this body.
    pub(crate) fn load_for_operation(
        tx: &Transaction<'_>,
        now: Timestamp,
        id: &str,
        operation: &ProtectedOperation,
        body: &BodyWithoutAuth,
    ) -> Result<Self, HandlerError> {
        let session = Self::find(tx, now, id)?.ok_or_else(unknown_session)?;
        match &session.operation {
            Some(found) if found == operation && session.is_for_body(body) => Ok(session),
            Some(found) if found.owner == operation.owner => Err(other_request()),
            _ => Err(unknown_session()),
        }
    }

    /// Binds the session to this body.
    pub(crate) fn bind_to(&mut self, body: &BodyWithoutAuth) {
        self.body_digest = Some(body.digest());
    }

    /// Whether a request with this body belongs to the session.
    pub(crate) fn is_for_body(&self, body: &BodyWithoutAuth) -> bool {
        body.is_empty() || self.body_digest.as_ref() == Some(&body.digest())
    }

    fn find(tx: &Transaction<'_>, now: Timestamp, id: &str) -> Result<Option<Self>, HandlerError> {
        let Some(row) = uia_sessions::find(tx, now, id)? else {
            return Ok(None);
        };
        let (owner, device) = (row.owner, row.device);
        let operation = |endpoint| ProtectedOperation {
            owner,
            device,
            endpoint,
        };
        let unseal = |result: Vec<u8>| seal(id, Sealed::Result, &result);
        Ok(Some(Self {
            id: id.to_owned(),
            is_stored: true,
            operation: row.endpoint.map(operation),
            completed: serde_json::from_str(&row.completed)?,
            presented_policies: row.presented_policies,
            registration_token: row.registration_token,
            threepids: serde_json::from_str(&row.threepids)?,
            params: serde_json::from_str(&row.params)?,
            user: row.user,
            body_digest: row.body_digest,
            body: row.body,
            result: row.result.map(unseal),
        }))
    }

    /// Stores the session.
    pub(crate) fn save(
        &mut self,
        context: &RequestContext<'_>,
        now: Timestamp,
    ) -> Result<(), HandlerError> {
        let (tx, peer) = (context.tx, &context.request.peer);
        if !self.is_stored {
            uia_sessions::make_room(tx, now, peer)?;
            self.is_stored = true;
        }
        let row = UiaSessionRow {
            params: serde_json::to_string(&self.params)?,
            completed: serde_json::to_string(&self.completed)?,
            presented_policies: self.presented_policies.clone(),
            registration_token: self.registration_token.clone(),
            threepids: serde_json::to_string(&self.threepids)?,
            user: self.user,
            owner: self.owner(),
            device: self.operation.as_ref().and_then(|it| it.device.clone()),
            endpoint: self.operation.as_ref().map(|it| it.endpoint.clone()),
            body_digest: self.body_digest.clone(),
            body: self.body.clone(),
            result: None,
        };
        Ok(uia_sessions::save(tx, now, peer, &self.id, &row)?)
    }

    /// Stores the session, and afterwards the result of the request that it has authorized. One that no
    /// client knows needs no result.
    pub(crate) fn finish(
        &mut self,
        context: &RequestContext<'_>,
        now: Timestamp,
    ) -> Result<(), HandlerError> {
        if self.is_stored {
            self.save(context, now)?;
            context.finished_session.replace(Some(self.id.clone()));
        }
        Ok(())
    }

    /// Whether the session is for a protected operation.
    pub(crate) fn is_for_operation(&self) -> bool {
        self.operation.is_some()
    }

    /// The user of the protected operation.
    pub(crate) fn owner(&self) -> Option<i64> {
        self.operation.as_ref()?.owner
    }

    /// Whether a stage is complete.
    pub(crate) fn has_completed(&self, stage: &str) -> bool {
        self.completed.iter().any(|it| it == stage)
    }

    /// Completes a stage.
    pub(crate) fn complete(&mut self, stage: &str) {
        if !self.has_completed(stage) {
            self.completed.push(stage.to_owned());
        }
    }

    /// Stores which versions of the policies the person is shown.
    pub(crate) fn present_policies(&mut self, config: &Config) -> Result<(), HandlerError> {
        let policies = config.policies.iter();
        let versions: BTreeMap<_, _> = policies.map(|(id, it)| (id, &it.version)).collect();
        self.presented_policies = Some(serde_json::to_string(&versions)?);
        Ok(())
    }

    /// The versions of the accepted policies, as JSON.
    pub(crate) fn accepted_policies(&self) -> Option<&str> {
        let presented = self.presented_policies.as_deref();
        presented.filter(|_| self.has_completed(TERMS))
    }

    /// Counts the registration token as used, once the account exists.
    pub(crate) fn count_token_use(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        registration_tokens::count_use(tx, self.registration_token.as_deref())
    }

    /// The flows that the session can take.
    pub(super) fn flows<'a>(&self, config: &'a Config) -> Vec<Vec<&'a str>> {
        match self.operation.as_ref().map(|it| it.owner) {
            Some(Some(_)) => vec![vec![PASSWORD]],
            Some(None) => {
                let media = Medium::ALL.into_iter();
                let validated = media.filter(|it| it.is_validated_by(config));
                validated.map(|it| vec![it.stage()]).collect()
            }
            None => {
                let flows = config.flows.iter();
                flows
                    .map(|flow| flow.iter().map(String::as_str).collect())
                    .collect()
            }
        }
    }

    /// Whether some flow has this stage.
    pub(crate) fn has_stage(&self, config: &Config, stage: &str) -> bool {
        self.flows(config).iter().flatten().any(|it| *it == stage)
    }

    /// Whether all stages of some flow are complete.
    pub(super) fn is_authenticated(&self, config: &Config) -> bool {
        let flows = self.flows(config);
        let is_complete = |flow: &Vec<&str>| flow.iter().all(|stage| self.has_completed(stage));
        flows.iter().any(is_complete)
    }

    /// The error of a stage that is tried before the stages that precede it in its flows.
    pub(crate) fn out_of_order(&self, config: &Config, stage: &str) -> Option<ApiError> {
        let mut missing = Vec::new();
        for flow in self.flows(config) {
            let Some(at) = flow.iter().position(|it| *it == stage) else {
                continue;
            };
            missing.push(*flow[..at].iter().find(|it| !self.has_completed(it))?);
        }
        let error = format!("{stage} comes after {}", missing.join(" or "));
        Some(ApiError::new(401, ErrorCode::Forbidden, error))
    }
}

/// A session is used for a request that it was not started for.
pub(crate) fn other_request() -> HandlerError {
    let error = "this session was started for another request; start a new one";
    ApiError::new(403, ErrorCode::Unknown, error).into()
}

/// There is no such session, or not any more.
pub(crate) fn unknown_session() -> HandlerError {
    let error = "this session is not known or has expired; start a new one";
    ApiError::new(400, ErrorCode::Unknown, error).into()
}
