//! The device authorization grant: a code that the person enters on another device, and polling.

use std::time::Duration;

use matricula_api::{
    ApiError,
    oauth::{
        DeviceAuthorizationRequest, DeviceCodeGrant, OAuthEndpoint, OAuthError, OAuthErrorCode,
        OAuthErrorResponse,
    },
};
use matricula_core::{Response, StepContext, Timestamp, scheduler::Outcome};

use super::{
    OAuthLogin,
    phase::{DeviceWait, Phase},
    provider::is_transient,
};
use crate::{OAuthLoginError, ServerError, server_address::is_web_page};

/// The most polls, even if the clock stands still.
const MAX_POLLS: u32 = 4000;
/// The longest interval that failures lead to.
const MAX_INTERVAL: Duration = Duration::from_secs(60);

impl OAuthLogin {
    pub(super) fn get_device_code(&mut self) {
        self.phase = Phase::GettingDeviceCode;
        let server = self.server().clone();
        let (Some(provider), Some(client)) = (&self.provider, &self.client) else {
            return self.conversation.fail(OAuthLoginError::NoOAuth { server });
        };
        let Some(endpoint) = provider.device_authorization_endpoint.clone() else {
            let what = "its OAuth 2.0 server does not support device codes";
            return self
                .conversation
                .fail(ServerError::not_matrix(&server, what));
        };
        match self.scope() {
            Ok(scope) => {
                let request = DeviceAuthorizationRequest::new(client.client_id.clone(), scope);
                self.send_to_issuer(request.job(&endpoint));
            }
            Err(error) => self
                .conversation
                .fail(ServerError::not_matrix(&server, error)),
        }
    }

    pub(super) fn on_device_code(&mut self, cx: &mut StepContext<'_>, response: &Response) {
        let error = match DeviceAuthorizationRequest::read(response) {
            Ok(mut response) if is_web_page(&response.verification_uri) => {
                let complete = response.verification_uri_complete.take();
                response.verification_uri_complete = complete.filter(|url| is_web_page(url));
                let wait = DeviceWait::new(cx.now, response);
                self.conversation.progress(wait.progress());
                return self.wait(cx.now, wait);
            }
            Ok(_) => {
                let what = "its OAuth 2.0 server names no web page to type the code into";
                ServerError::not_matrix(self.server(), what).into()
            }
            Err(OAuthError::Refused(refusal)) => match self.register_again(cx, refusal) {
                Some(refusal) => self.refused(refusal).into(),
                None => return,
            },
            Err(error) => self.oauth_error(error),
        };
        self.conversation.fail(error);
    }

    pub(super) fn wait(&mut self, now: Timestamp, wait: DeviceWait) {
        self.conversation
            .wait(now.plus(wait.interval).min(wait.expires_at));
        self.phase = Phase::Waiting(wait);
    }

    pub(super) fn poll(&mut self, now: Timestamp, mut wait: DeviceWait) {
        wait.polls += 1;
        if now >= wait.expires_at || wait.polls > MAX_POLLS {
            return self.on_expired();
        }
        let (Some(provider), Some(client)) = (&self.provider, &self.client) else {
            return self.on_expired();
        };
        let grant = DeviceCodeGrant {
            client_secret: client.client_secret.clone(),
            ..DeviceCodeGrant::new(wait.device_code.clone(), client.client_id.clone())
        };
        let job = grant.job(&provider.token_endpoint);
        self.phase = Phase::Polling(wait);
        self.send_to_issuer(job);
    }

    fn on_expired(&mut self) {
        let issuer = self.issuer();
        self.conversation
            .fail(OAuthLoginError::CodeExpired { issuer });
    }

    pub(super) fn on_polled(
        &mut self,
        cx: &mut StepContext<'_>,
        mut wait: DeviceWait,
        outcome: Outcome,
    ) {
        let response = match outcome {
            Outcome::Responded(response) => response,
            Outcome::Failed(_) => return self.wait_longer(cx.now, wait),
            Outcome::InDoubt(_) => {
                wait.is_lost = true;
                return self.wait_longer(cx.now, wait);
            }
            _ => {
                self.phase = Phase::Waiting(wait);
                return self.conversation.pause(ServerError::Cancelled);
            }
        };
        match DeviceCodeGrant::read(&response) {
            Ok(tokens) => self.on_tokens(cx.now, tokens),
            Err(OAuthError::Refused(refusal)) => self.on_not_yet(cx, wait, refusal),
            Err(OAuthError::Other(ApiError::RateLimited { retry_after, .. })) => {
                wait.interval = wait.interval.max(retry_after.unwrap_or_default());
                self.wait(cx.now, wait);
            }
            Err(_) if response.status_code() >= 500 => {
                wait.is_lost = true;
                self.wait_longer(cx.now, wait);
            }
            Err(error) => self.conversation.fail(self.oauth_error(error)),
        }
    }

    fn on_not_yet(
        &mut self,
        cx: &mut StepContext<'_>,
        mut wait: DeviceWait,
        refusal: OAuthErrorResponse,
    ) {
        match refusal.code {
            OAuthErrorCode::AuthorizationPending => self.wait(cx.now, wait),
            OAuthErrorCode::SlowDown => {
                wait.interval += Duration::from_secs(5);
                self.wait(cx.now, wait);
            }
            OAuthErrorCode::ExpiredToken => self.on_expired(),
            OAuthErrorCode::InvalidGrant if wait.is_lost => {
                self.start_over(
                    cx,
                    "the code was used up by the request whose answer was lost",
                );
            }
            _ if is_transient(&refusal) => self.wait_longer(cx.now, wait),
            _ => {
                if let Some(refusal) = self.register_again(cx, refusal) {
                    self.conversation.fail(self.refused(refusal));
                }
            }
        }
    }

    fn wait_longer(&mut self, now: Timestamp, mut wait: DeviceWait) {
        wait.interval = wait.interval.max((wait.interval * 2).min(MAX_INTERVAL));
        self.wait(now, wait);
    }
}
