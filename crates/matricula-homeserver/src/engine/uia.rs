//! [User-interactive authentication](https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api):
//! sessions, and the stages that they complete.

use std::{collections::BTreeMap, time::Duration};

use matricula_api::{
    ErrorCode, Raw,
    client::registration_tokens::{RegistrationTokenValidity, RegistrationTokenValidityResponse},
    uia::{AuthData, Flow, Stage, UiaInfo},
};
use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Homeserver,
    addresses::{Medium, Threepid, Validation},
    limits::Bucket,
    millis, pages, passwords,
    refusal::{ApiError, HandlerError},
    routes::{Handler, RequestContext},
    tokens::{ALPHANUMERIC, digest},
};
use crate::{
    Registration,
    config::{REGISTRATION_TOKEN, TERMS},
};

const DUMMY: &str = "m.login.dummy";
pub(super) const PASSWORD: &str = "m.login.password";
const RECAPTCHA: &str = "m.login.recaptcha";

/// How long a session may take, and how long a finished one may be asked for its outcome again.
const SESSION_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How many sessions are kept; beyond it the one that has come least far is forgotten.
const MAX_SESSIONS: i64 = 5_000;

/// What a registration asks for, as far as its requests have said. The first that says a thing wins:
/// later requests may leave it out, and cannot change it. Of a password only the hash is kept.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct RegistrationParams {
    pub(super) username: Option<String>,
    pub(super) password_hash: Option<String>,
    pub(super) device_id: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) inhibit_login: Option<bool>,
    pub(super) refresh_token: Option<bool>,
    /// The guest whose account it becomes.
    pub(super) guest: Option<i64>,
}

/// What a signed-in user proves again who they are for.
#[derive(Clone, PartialEq)]
pub(super) struct ProtectedOperation {
    /// None where somebody has forgotten the password.
    pub(super) owner: Option<i64>,
    /// The request's method and path.
    pub(super) endpoint: String,
}

/// An address that was proved in a session.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ValidatedThreepid {
    pub(super) threepid: Threepid,
    pub(super) validated_at: i64,
}

/// One authentication, over as many requests as it takes: to register, or for a deed.
pub(super) struct UiaSession {
    id: String,
    is_stored: bool,
    /// None where somebody registers.
    operation: Option<ProtectedOperation>,
    completed: Vec<String>,
    /// The version of each policy that the person was shown.
    presented_policies: Option<String>,
    registration_token: Option<String>,
    pub(super) threepids: Vec<ValidatedThreepid>,
    pub(super) params: RegistrationParams,
    /// The account that came of it.
    pub(super) user: Option<i64>,
}

impl UiaSession {
    /// A session that is not stored yet.
    pub(super) fn new(cx: &mut StepContext<'_>) -> Self {
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
        }
    }

    /// A session for a deed, not stored yet.
    pub(super) fn for_operation(cx: &mut StepContext<'_>, deed: ProtectedOperation) -> Self {
        Self {
            operation: Some(deed),
            ..Self::new(cx)
        }
    }

    /// A session in which somebody registers.
    pub(super) fn load(
        tx: &Transaction<'_>,
        now: Timestamp,
        id: &str,
    ) -> Result<Self, HandlerError> {
        match Self::find(tx, now, id)? {
            Some(session) if session.operation.is_none() => Ok(session),
            _ => Err(unknown_session()),
        }
    }

    /// A session for this deed.
    pub(super) fn load_for_operation(
        tx: &Transaction<'_>,
        now: Timestamp,
        id: &str,
        deed: &ProtectedOperation,
    ) -> Result<Self, HandlerError> {
        let session = Self::find(tx, now, id)?;
        let found = session.as_ref().and_then(|it| it.operation.as_ref());
        match (found.map(|it| (it.owner, it == deed)), session) {
            (Some((_, true)), Some(session)) => Ok(session),
            (Some((owner, false)), _) if owner == deed.owner => {
                let error = "this session was begun for something else; begin again";
                Err(ApiError::new(403, ErrorCode::Unknown, error).into())
            }
            _ => Err(unknown_session()),
        }
    }

    fn find(tx: &Transaction<'_>, now: Timestamp, id: &str) -> Result<Option<Self>, HandlerError> {
        let row = tx
            .query_row(
                "SELECT wanted, completed, presented_policies, registration_token, user, owner,
                     operation, addresses
                 FROM uia_sessions WHERE digest = ?1 AND expires_at > ?2",
                params![digest(id), millis(now)],
                |row| {
                    let texts: (String, String, String) = (row.get(0)?, row.get(1)?, row.get(7)?);
                    let deed: (Option<i64>, Option<String>) = (row.get(5)?, row.get(6)?);
                    Ok((texts, row.get(2)?, row.get(3)?, row.get(4)?, deed))
                },
            )
            .optional()?;
        let Some((texts, presented_policies, registration_token, user, deed)) = row else {
            return Ok(None);
        };
        let (wanted, completed, addresses) = texts;
        let (owner, operation) = deed;
        Ok(Some(Self {
            id: id.to_owned(),
            is_stored: true,
            operation: operation.map(|operation| ProtectedOperation {
                owner,
                endpoint: operation,
            }),
            completed: serde_json::from_str(&completed)?,
            presented_policies,
            registration_token,
            threepids: serde_json::from_str(&addresses)?,
            params: serde_json::from_str(&wanted)?,
            user,
        }))
    }

    pub(super) fn save(
        &mut self,
        tx: &Transaction<'_>,
        now: Timestamp,
    ) -> Result<(), HandlerError> {
        if !self.is_stored {
            make_room(tx, now)?;
            self.is_stored = true;
        }
        tx.execute(
            "INSERT INTO uia_sessions (digest, wanted, completed, presented_policies,
                 registration_token, user, expires_at, owner, operation, addresses)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT DO UPDATE SET wanted = excluded.wanted, completed = excluded.completed,
                 presented_policies = excluded.presented_policies,
                 registration_token = excluded.registration_token, user = excluded.user,
                 addresses = excluded.addresses",
            params![
                digest(&self.id),
                serde_json::to_string(&self.params)?,
                serde_json::to_string(&self.completed)?,
                self.presented_policies,
                self.registration_token,
                self.user,
                millis(now.plus(SESSION_LIFETIME)),
                self.operation.as_ref().and_then(|it| it.owner),
                self.operation.as_ref().map(|it| &it.endpoint),
                serde_json::to_string(&self.threepids)?,
            ],
        )?;
        Ok(())
    }

    pub(super) fn has_completed(&self, stage: &str) -> bool {
        self.completed.iter().any(|it| it == stage)
    }

    /// Takes a person's word on a fallback page for a stage.
    pub(super) fn complete(&mut self, stage: &str) {
        if !self.has_completed(stage) {
            self.completed.push(stage.to_owned());
        }
    }

    /// The versions of the policies that were accepted, as JSON.
    pub(super) fn accepted_policies(&self) -> Option<&str> {
        self.presented_policies
            .as_deref()
            .filter(|_| self.has_completed(TERMS))
    }

    /// Counts the registration token as used, now that there is an account.
    pub(super) fn count_token_use(&self, tx: &Transaction<'_>) -> Result<(), HandlerError> {
        tx.execute(
            "UPDATE registration_tokens SET completed = completed + 1 WHERE token = ?1",
            [&self.registration_token],
        )?;
        Ok(())
    }
}

fn make_room(tx: &Transaction<'_>, now: Timestamp) -> Result<(), HandlerError> {
    tx.execute(
        "DELETE FROM uia_sessions WHERE expires_at <= ?1",
        [millis(now)],
    )?;
    let count: i64 = tx.query_row("SELECT count(*) FROM uia_sessions", [], |row| row.get(0))?;
    if count >= MAX_SESSIONS {
        tx.execute(
            "DELETE FROM uia_sessions WHERE digest = (SELECT digest FROM uia_sessions
                 ORDER BY user IS NOT NULL, completed != '[]', expires_at LIMIT 1)",
            [],
        )?;
    }
    Ok(())
}

fn unknown_session() -> HandlerError {
    let error = "this session is not known or has expired; begin again";
    ApiError::new(400, ErrorCode::Unknown, error).into()
}

impl Homeserver {
    /// The ways through a session.
    fn flows(&self, session: &UiaSession) -> &[Vec<String>] {
        match session.operation.as_ref().map(|it| it.owner) {
            Some(Some(_)) => &self.reauth_flows,
            Some(None) => &self.reset_flows,
            None => &self.config.flows,
        }
    }

    /// Whether some way to register has this stage.
    pub(super) fn registration_has_stage(&self, stage: &str) -> bool {
        self.config.flows.iter().flatten().any(|it| it == stage)
    }

    /// Whether some way through the session has this stage.
    fn has_stage(&self, session: &UiaSession, stage: &str) -> bool {
        self.flows(session).iter().flatten().any(|it| it == stage)
    }

    /// Whether all stages of some flow are complete.
    pub(super) fn is_authenticated(&self, session: &UiaSession) -> bool {
        let mut flows = self.flows(session).iter();
        flows.any(|flow| flow.iter().all(|stage| session.has_completed(stage)))
    }

    /// A flow's stages come in order.
    pub(super) fn out_of_order(&self, session: &UiaSession, stage: &str) -> Option<ApiError> {
        let mut missing = Vec::new();
        for flow in self.flows(session) {
            let Some(at) = flow.iter().position(|it| it == stage) else {
                continue;
            };
            match flow[..at].iter().find(|it| !session.has_completed(it)) {
                Some(before) => missing.push(before.as_str()),
                None => return None,
            }
        }
        let error = format!("{stage} comes after {}", missing.join(" or "));
        Some(ApiError::new(401, ErrorCode::Forbidden, error))
    }

    /// What is still to do, and what the last attempt lacked.
    pub(super) fn uia_info(
        &self,
        tx: &Transaction<'_>,
        now: Timestamp,
        session: &mut UiaSession,
        failure: Option<ApiError>,
    ) -> Result<UiaInfo, HandlerError> {
        let stages = |names: &[String]| names.iter().map(|it| Stage::from(it.as_str())).collect();
        let flows = self.flows(session).iter();
        let mut info = UiaInfo::default();
        info.flows = flows.map(|it| Flow::new(stages(it))).collect();
        if self.has_stage(session, TERMS) {
            self.present_policies(session)?;
            let policies = json!({ "policies": self.policies_json() });
            info.params.insert(Stage::Terms, Raw::from(&policies));
        }
        if self.has_stage(session, RECAPTCHA)
            && let Some(captcha) = &self.config.captcha
        {
            let shown = json!({ "public_key": captcha.public_key });
            info.params.insert(Stage::Recaptcha, Raw::from(&shown));
        }
        info.completed = stages(&session.completed);
        info.session = Some(session.id.clone());
        if let Some(failure) = failure {
            info.errcode = Some(failure.code);
            info.error = Some(failure.error.into_owned());
        }
        session.save(tx, now)?;
        Ok(info)
    }

    /// Remembers which versions of the policies a person is being shown.
    pub(super) fn present_policies(&self, session: &mut UiaSession) -> Result<(), HandlerError> {
        let policies = self.config.policies.iter();
        let versions: BTreeMap<_, _> = policies.map(|(id, it)| (id, &it.version)).collect();
        session.presented_policies = Some(serde_json::to_string(&versions)?);
        Ok(())
    }

    /// Whether a stage is one in which an address is really proved.
    pub(super) fn is_validation_stage(&self, stage: &str) -> bool {
        let mut media = [Medium::Email, Medium::Msisdn].into_iter();
        media.any(|it| it.stage() == stage && self.config.can_validate(it))
    }

    fn policies_json(&self) -> Value {
        let mut policies = json!({});
        for (id, policy) in &self.config.policies {
            policies[id] = json!({ "version": policy.version });
            for (language, document) in &policy.translations {
                policies[id][language] = json!({
                    "name": document.name,
                    "url": format!("{}{}", self.base_url, pages::document_path(id, language)),
                });
            }
        }
        policies
    }
}

/// The captcha stage, with nobody behind it: whoever says so is human.
fn try_captcha(session: &mut UiaSession, auth: &AuthData) -> Option<ApiError> {
    let Some(response) = &auth.response else {
        let error = "auth/response is missing: what the captcha answered";
        return Some(ApiError::new(401, ErrorCode::CaptchaNeeded, error));
    };
    if !response.expose().starts_with("ok") {
        let error = "this is not what the captcha answers to people";
        return Some(ApiError::new(401, ErrorCode::Unauthorized, error));
    }
    session.complete(RECAPTCHA);
    None
}

impl RequestContext<'_> {
    /// Tries one stage. A failed attempt is told apart from a request that makes no sense: it can be
    /// made again in the same session.
    pub(super) fn try_stage(
        &self,
        cx: &mut StepContext<'_>,
        session: &mut UiaSession,
        stage: &str,
        auth: &AuthData,
    ) -> Result<Option<ApiError>, HandlerError> {
        if !self.homeserver.has_stage(session, stage) {
            let error = "no flow of this server has such a stage";
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
        }
        if session.has_completed(stage) {
            return Ok(None);
        }
        if let Some(refusal) = self.homeserver.out_of_order(session, stage) {
            return Ok(Some(refusal));
        }
        match stage {
            DUMMY | TERMS => session.complete(stage),
            REGISTRATION_TOKEN => {
                let Some(token) = &auth.token else {
                    return Ok(Some(ApiError::missing_param("auth/token")));
                };
                return self.try_registration_token(cx.now, session, token.expose());
            }
            RECAPTCHA if self.homeserver.config.captcha.is_some() => {
                return Ok(try_captcha(session, auth));
            }
            _ if self.homeserver.is_validation_stage(stage) => {
                return self.try_threepid(cx.now, session, stage, auth);
            }
            PASSWORD if session.operation.is_some() => {
                return self.try_password(cx, session, auth);
            }
            _ => {
                let error = "this stage is completed on its fallback page";
                return Ok(Some(ApiError::new(401, ErrorCode::Unauthorized, error)));
            }
        }
        Ok(None)
    }

    /// The password stage: the user of the access token, and nobody else.
    fn try_password(
        &self,
        cx: &mut StepContext<'_>,
        session: &mut UiaSession,
        auth: &AuthData,
    ) -> Result<Option<ApiError>, HandlerError> {
        let Some(password) = &auth.password else {
            return Ok(Some(ApiError::missing_param("auth/password")));
        };
        let bucket = self.login_bucket();
        bucket.check(self.tx, cx.now)?;
        let old_way = auth.extra.get("user").and_then(Value::as_str);
        let found = match &auth.identifier {
            Some(identifier) => self.user_by_identifier(identifier)?,
            None => self.user_by_name(old_way)?,
        };
        let owner = session.operation.as_ref().and_then(|it| it.owner);
        let theirs = found.filter(|it| Some(it.id) == owner);
        let stored = theirs.and_then(|it| it.password_hash);
        if !passwords::verify(cx, stored.as_deref(), password.expose())? {
            bucket.take(self.tx, cx.now)?;
            let error = "this is not the name and password of the account";
            return Ok(Some(ApiError::new(401, ErrorCode::Forbidden, error)));
        }
        session.complete(PASSWORD);
        Ok(None)
    }

    /// A stage in which an address is proved: the client names the validation in which it was.
    fn try_threepid(
        &self,
        now: Timestamp,
        session: &mut UiaSession,
        stage: &str,
        auth: &AuthData,
    ) -> Result<Option<ApiError>, HandlerError> {
        let Some(creds) = &auth.threepid_creds else {
            return Ok(Some(ApiError::missing_param("auth/threepid_creds")));
        };
        let found = Validation::find(self.tx, now, &creds.sid, &creds.client_secret)?;
        let right = found.filter(|it| it.threepid.medium.stage() == stage);
        let Some((address, validated_at)) =
            right.and_then(|it| it.validated_at.map(|at| (it.threepid, at)))
        else {
            let error = "this address is not proved yet; open the mailed link or send the code \
                         first";
            return Ok(Some(ApiError::new(401, ErrorCode::Unauthorized, error)));
        };
        session.threepids.push(ValidatedThreepid {
            threepid: address,
            validated_at,
        });
        session.complete(stage);
        Ok(None)
    }

    /// The registration token stage. The use is pending from here on: it is the session's, and falls
    /// back to the token when the session ends without an account.
    pub(super) fn try_registration_token(
        &self,
        now: Timestamp,
        session: &mut UiaSession,
        token: &str,
    ) -> Result<Option<ApiError>, HandlerError> {
        // A wrong guess counts like a question to the validity endpoint: it tells as much.
        let bucket = self.token_bucket();
        bucket.check(self.tx, now)?;
        if !token_is_valid(self.tx, now, token)? {
            bucket.take(self.tx, now)?;
            let error = "this registration token is wrong, used up or expired";
            return Ok(Some(ApiError::new(401, ErrorCode::Unauthorized, error)));
        }
        session.registration_token = Some(token.to_owned());
        session.complete(REGISTRATION_TOKEN);
        Ok(None)
    }

    fn token_bucket(&self) -> Bucket<'_> {
        Bucket {
            kind: "token_validity",
            limit: self.homeserver.config.limits.token_validity,
            key: &self.request.peer,
        }
    }
}

impl Handler for RegistrationTokenValidity {
    fn precheck(call: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        if call.homeserver.config.registration == Registration::Closed {
            return Err(registration_closed().into());
        }
        call.token_bucket().check_and_take(call.tx, now)
    }

    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RegistrationTokenValidityResponse, HandlerError> {
        let valid = call.homeserver.registration_has_stage(REGISTRATION_TOKEN)
            && token_is_valid(call.tx, cx.now, self.token.expose())?;
        Ok(RegistrationTokenValidityResponse::new(valid))
    }
}

pub(super) fn registration_closed() -> ApiError {
    ApiError::new(
        403,
        ErrorCode::Forbidden,
        "registration is closed on this server",
    )
}

/// Whether one more account may come of this token. Uses pending in other sessions count.
fn token_is_valid(tx: &Transaction<'_>, now: Timestamp, token: &str) -> Result<bool, HandlerError> {
    let valid = tx
        .query_row(
            "SELECT (expires_at IS NULL OR expires_at > ?2)
                AND (uses_allowed IS NULL OR uses_allowed > completed +
                    (SELECT count(*) FROM uia_sessions AS session
                     WHERE registration_token = ?1 AND user IS NULL AND session.expires_at > ?2))
             FROM registration_tokens WHERE token = ?1",
            params![token, millis(now)],
            |row| row.get(0),
        )
        .optional()?;
    Ok(valid.unwrap_or(false))
}
