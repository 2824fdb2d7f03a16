//! The way through another device: a code to type in there, and patience.

use std::time::Duration;

use matricula_api::{
    ApiError,
    oauth::{
        DeviceAuthorization, DeviceAuthorizationRequest, DeviceCodeGrant, OAuthEndpoint,
        OAuthError, OAuthErrorCode, OAuthErrorResponse, Scope,
    },
};
use matricula_core::{
    Response, Secret, StepContext, Timestamp, scheduler::Outcome, secret::exposed,
};
use serde::{Deserialize, Serialize};

use super::{
    browser::is_passing,
    login::{OAuthLogin, Phase, Turn},
};
use crate::{AuthError, Effect, Event, Progress, address::is_web_page};

/// However long the server says that the code is good for.
const LONGEST: Duration = Duration::from_secs(3600);
/// Even where the clock stands still.
const MOST_POLLS: u32 = 4000;
/// Where nothing answers, questions come ever more slowly, but not more slowly than this.
const SLOWEST: Duration = Duration::from_secs(60);

/// A device code, and when to ask about it next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DeviceWait {
    #[serde(with = "exposed")]
    device_code: Secret,
    url: String,
    url_with_code: Option<String>,
    user_code: String,
    expires_at: Timestamp,
    interval: Duration,
    polls: u32,
    /// Whether an answer was lost, which may have held the tokens.
    pub(super) is_lost: bool,
}

impl DeviceWait {
    fn of(now: Timestamp, answer: DeviceAuthorization) -> Self {
        let interval = answer.wait().max(Duration::from_secs(1));
        Self {
            device_code: answer.device_code,
            url: answer.verification_uri,
            url_with_code: answer.verification_uri_complete,
            user_code: answer.user_code,
            expires_at: now.plus(answer.expires_in.min(LONGEST)),
            interval,
            polls: 0,
            is_lost: false,
        }
    }

    pub(super) fn notice(&self) -> Progress {
        Progress::DeviceCode {
            url: self.url.clone(),
            url_with_code: self.url_with_code.clone(),
            user_code: self.user_code.clone(),
            expires_at: self.expires_at,
        }
    }
}

impl OAuthLogin {
    pub(super) fn ask_for_code(&mut self, turn: &mut Turn) {
        self.phase = Phase::AskingForCode;
        let server = self.server().clone();
        let (Some(provider), Some(client)) = (&self.provider, &self.client) else {
            return self.end(Err(AuthError::NoOAuth { server }), turn);
        };
        let Some(endpoint) = provider.device_authorization_endpoint.clone() else {
            let what = "its OAuth 2.0 server lets nobody in from another device".to_owned();
            return self.end(Err(AuthError::NotMatrix { server, what }), turn);
        };
        match Scope::client(self.device_id.as_deref().unwrap_or_default()) {
            Ok(scope) => {
                let request = DeviceAuthorizationRequest::new(client.client_id.clone(), scope);
                self.send_to_issuer(request.job(&endpoint), turn);
            }
            Err(error) => {
                let what = error.to_string();
                self.end(Err(AuthError::NotMatrix { server, what }), turn);
            }
        }
    }

    pub(super) fn on_code(
        &mut self,
        cx: &mut StepContext<'_>,
        response: &Response,
        turn: &mut Turn,
    ) {
        let error = match DeviceAuthorizationRequest::read(response) {
            Ok(mut answer) if is_web_page(&answer.verification_uri) => {
                let complete = answer.verification_uri_complete.take();
                answer.verification_uri_complete = complete.filter(|url| is_web_page(url));
                let wait = DeviceWait::of(cx.now, answer);
                turn.events.push(Event::Progress(wait.notice()));
                return self.wait(cx.now, wait, turn);
            }
            Ok(_) => AuthError::NotMatrix {
                server: self.server().clone(),
                what: "its OAuth 2.0 server names no web page to type the code into".into(),
            },
            Err(OAuthError::Refused(refusal)) => match self.introduce_anew(cx, refusal, turn) {
                Some(refusal) => self.turned_down(refusal),
                None => return,
            },
            Err(error) => self.refused(error),
        };
        self.end(Err(error), turn);
    }

    pub(super) fn wait(&mut self, now: Timestamp, wait: DeviceWait, turn: &mut Turn) {
        let until = now.plus(wait.interval).min(wait.expires_at);
        self.phase = Phase::Waiting(wait);
        let id = self.next_effect();
        turn.effects.push(Effect::Wait(id, until));
    }

    pub(super) fn poll(&mut self, now: Timestamp, mut wait: DeviceWait, turn: &mut Turn) {
        wait.polls += 1;
        if now >= wait.expires_at || wait.polls > MOST_POLLS {
            return self.expired(turn);
        }
        let (Some(provider), Some(client)) = (&self.provider, &self.client) else {
            return self.expired(turn);
        };
        let grant = DeviceCodeGrant {
            client_secret: client.client_secret.clone(),
            ..DeviceCodeGrant::new(wait.device_code.clone(), client.client_id.clone())
        };
        let job = grant.job(&provider.token_endpoint);
        self.phase = Phase::Polling(wait);
        self.send_to_issuer(job, turn);
    }

    fn expired(&mut self, turn: &mut Turn) {
        let issuer = self.issuer();
        self.end(Err(AuthError::CodeExpired { issuer }), turn);
    }

    pub(super) fn on_polled(
        &mut self,
        cx: &mut StepContext<'_>,
        mut wait: DeviceWait,
        outcome: Outcome,
        turn: &mut Turn,
    ) {
        let response = match outcome {
            Outcome::Responded(response) => response,
            Outcome::Failed(_) => return self.wait_longer(cx.now, wait, turn),
            Outcome::InDoubt(_) => {
                wait.is_lost = true;
                return self.wait_longer(cx.now, wait, turn);
            }
            _ => return self.pause(Phase::Waiting(wait), AuthError::Cancelled, turn),
        };
        match DeviceCodeGrant::read(&response) {
            Ok(tokens) => self.take(cx.now, tokens, turn),
            Err(OAuthError::Refused(refusal)) => self.on_not_yet(cx, wait, refusal, turn),
            Err(OAuthError::Other(ApiError::RateLimited { retry_after, .. })) => {
                wait.interval = wait.interval.max(retry_after.unwrap_or_default());
                self.wait(cx.now, wait, turn);
            }
            Err(_) if response.status_code() >= 500 => {
                wait.is_lost = true;
                self.wait_longer(cx.now, wait, turn);
            }
            Err(error) => {
                let error = self.refused(error);
                self.end(Err(error), turn);
            }
        }
    }

    fn on_not_yet(
        &mut self,
        cx: &mut StepContext<'_>,
        mut wait: DeviceWait,
        refusal: OAuthErrorResponse,
        turn: &mut Turn,
    ) {
        match refusal.code {
            OAuthErrorCode::AuthorizationPending => self.wait(cx.now, wait, turn),
            OAuthErrorCode::SlowDown => {
                wait.interval += Duration::from_secs(5);
                self.wait(cx.now, wait, turn);
            }
            OAuthErrorCode::ExpiredToken => self.expired(turn),
            OAuthErrorCode::InvalidGrant if wait.is_lost => {
                let why = "the code was used up by the request whose answer was lost";
                self.begin_again(cx, why.to_owned(), turn);
            }
            _ if is_passing(&refusal) => self.wait_longer(cx.now, wait, turn),
            _ => {
                if let Some(refusal) = self.introduce_anew(cx, refusal, turn) {
                    let error = self.turned_down(refusal);
                    self.end(Err(error), turn);
                }
            }
        }
    }

    fn wait_longer(&mut self, now: Timestamp, mut wait: DeviceWait, turn: &mut Turn) {
        wait.interval = wait.interval.max((wait.interval * 2).min(SLOWEST));
        self.wait(now, wait, turn);
    }
}
