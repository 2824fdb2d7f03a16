//! The authorization code grant: a page in a browser, its callback address, and the code in that.

use matricula_api::{
    oauth::{
        AuthorizationCodeGrant, AuthorizationPrompt, AuthorizationRequest, CallbackError,
        CodeVerifier, OAuthEndpoint, OAuthError, OAuthErrorCode, OAuthErrorResponse, read_callback,
    },
    uia::Stage,
};
use matricula_core::{Job, Response, Secret, StepContext, scheduler::Outcome};

use super::{
    OAuthLogin,
    phase::{GrantMethod, Phase},
    pkce,
    provider::is_transient,
};
use crate::{Answer, BrowserError, Progress, Prompt, ServerError, random};

impl OAuthLogin {
    pub(super) fn report_route(&mut self, signs_up: bool) {
        let issuer = self.issuer();
        let provider = self.provider.as_ref();
        let can_sign_up = provider.is_some_and(|provider| provider.can_sign_up);
        let why = match (signs_up, can_sign_up) {
            (false, _) => format!("login is at the server's OAuth 2.0 server, {issuer}"),
            (true, true) => format!("the server makes accounts at its OAuth 2.0 server, {issuer}"),
            (true, false) => format!(
                "the server makes accounts at its OAuth 2.0 server, {issuer}, which does not say that its page can start with signing up: choose that there"
            ),
        };
        let stages = vec![Stage::OAuth];
        self.conversation.progress(Progress::Route { stages, why });
    }

    /// Draws the secrets of an authorization, and asks the person to open the page.
    pub(super) fn new_page(&mut self, cx: &mut StepContext<'_>) {
        let state = random::url_safe_secret(cx.entropy);
        let verifier = random::url_safe_secret(cx.entropy);
        self.open_page(state, verifier, None);
    }

    pub(super) fn open_page(&mut self, state: Secret, verifier: Secret, why: Option<String>) {
        let url = match self.page(&state, &verifier) {
            Ok(url) => url,
            Err(error) => return self.conversation.fail(error),
        };
        let redirect_uri = self.redirect_uri().unwrap_or_default().to_owned();
        self.conversation.ask(Prompt::OpenPage {
            url,
            redirect_uri,
            state: state.clone(),
            why,
        });
        self.phase = Phase::OnPage { state, verifier };
    }

    fn page(&self, state: &Secret, verifier: &Secret) -> Result<Secret, ServerError> {
        let refuse = |what: String| ServerError::not_matrix(self.server(), what);
        let (
            Some(provider),
            Some(client),
            GrantMethod::Browser {
                redirect_uri,
                signs_up,
            },
        ) = (&self.provider, &self.client, &self.grant)
        else {
            return Err(refuse("its OAuth 2.0 server is not known".into()));
        };
        let scope = self.scope().map_err(|error| refuse(error.to_string()))?;
        let challenge = pkce::challenge(verifier).map_err(|error| refuse(error.to_string()))?;
        let mut request = AuthorizationRequest::new(
            client.client_id.clone(),
            redirect_uri.clone(),
            scope,
            state.clone(),
            challenge,
        );
        if *signs_up && provider.can_sign_up {
            request = request.prompt(AuthorizationPrompt::Create);
        }
        if let Some(user) = &self.login_hint {
            request = request.login_hint(user);
        }
        let url = request.url(&provider.authorization_endpoint);
        url.map(Secret::from)
            .map_err(|error| refuse(error.to_string()))
    }

    pub(super) fn on_page(
        &mut self,
        cx: &mut StepContext<'_>,
        state: Secret,
        verifier: Secret,
        answer: Answer,
    ) {
        let issuer = self.issuer();
        let url = match answer {
            Answer::Text(url) => url,
            Answer::No => return self.conversation.fail(ServerError::Cancelled),
            Answer::Yes => Secret::default(),
            Answer::Unavailable => {
                return match self.page(&state, &verifier) {
                    Ok(url) => self
                        .conversation
                        .pause(BrowserError::BrowserNeeded { issuer, url }),
                    Err(error) => self.conversation.fail(error),
                };
            }
        };
        match read_callback(url.expose().trim(), &state) {
            Ok(code) => self.redeem(code, verifier, false),
            Err(CallbackError::Refused(refusal)) => self.on_refused(cx, refusal),
            // Any site can make a browser open the address: that must not end the login, and must not go
            // on without a limit.
            Err(error) if self.conversation.count_try(true) => {
                self.open_page(state, verifier, Some(error.to_string()));
            }
            Err(error) => {
                let what = error.to_string();
                self.conversation
                    .fail(BrowserError::WrongCallback { issuer, what });
            }
        }
    }

    fn on_refused(&mut self, cx: &mut StepContext<'_>, refusal: OAuthErrorResponse) {
        let Some(refusal) = self.register_again(cx, refusal) else {
            return;
        };
        if is_transient(&refusal) {
            self.phase = Phase::Authorizing;
            self.conversation.pause(self.refused(refusal));
        } else {
            self.conversation.fail(self.refused(refusal));
        }
    }

    /// Gets tokens for the code. `is_replay`: the same request may have been processed already.
    pub(super) fn redeem(&mut self, code: Secret, verifier: Secret, is_replay: bool) {
        match self.code_grant(&code, &verifier) {
            Ok(job) => {
                self.conversation.send(job);
            }
            Err(what) => {
                let error = ServerError::not_matrix(self.server(), what);
                self.conversation.fail(error);
            }
        }
        self.phase = Phase::Redeeming {
            code,
            verifier,
            is_replay,
        };
    }

    fn code_grant(&self, code: &Secret, verifier: &Secret) -> Result<Job, String> {
        let (Some(provider), Some(client)) = (&self.provider, &self.client) else {
            return Err("its OAuth 2.0 server is not known".into());
        };
        let verifier = CodeVerifier::new(verifier.clone()).map_err(|error| error.to_string())?;
        let redirect_uri = self.redirect_uri().unwrap_or_default();
        let grant = AuthorizationCodeGrant {
            client_secret: client.client_secret.clone(),
            ..AuthorizationCodeGrant::new(
                code.clone(),
                redirect_uri,
                client.client_id.clone(),
                verifier,
            )
        };
        let job = grant.job(&provider.token_endpoint);
        job.map_err(|error| error.to_string())
    }

    pub(super) fn on_redeemed(
        &mut self,
        cx: &mut StepContext<'_>,
        code: Secret,
        verifier: Secret,
        is_replay: bool,
        outcome: Outcome,
    ) {
        // Pauses leave the phase as it is: the next run sends the code again.
        let (why, error) = match outcome {
            Outcome::Responded(response) if response.status_code() == 429 => {
                return match AuthorizationCodeGrant::read(&response) {
                    Ok(_) => self.conversation.pause(ServerError::Cancelled),
                    Err(error) => self.conversation.pause(self.oauth_error(error)),
                };
            }
            Outcome::Responded(response) if response.status_code() >= 500 => {
                let what = match AuthorizationCodeGrant::read(&response) {
                    Err(error) => error.to_string(),
                    Ok(_) => format!("status {}", response.status_code()),
                };
                let issuer = self.issuer();
                let why = format!("{issuer} is in trouble ({what}): asking for the tokens again");
                let error = ServerError::oauth_unavailable(&issuer, what);
                (Progress::BeginningAgain(why), error)
            }
            Outcome::Responded(response) => {
                return self.on_token_response(cx, is_replay, &response);
            }
            Outcome::InDoubt(error) => {
                let how = format!("{error}; asking for the tokens again");
                (Progress::Settling(how), self.unreachable(error))
            }
            Outcome::Failed(error) => {
                let error = self.unreachable(error);
                return self.conversation.pause(error);
            }
            _ => return self.conversation.pause(ServerError::Cancelled),
        };
        // The same again: if the first was processed, the server refuses the code and revokes the tokens
        // that it issued for it. So no token is left behind that nothing knows of.
        if is_replay {
            self.conversation.pause(error);
        } else {
            self.conversation.progress(why);
            self.redeem(code, verifier, true);
        }
    }

    fn on_token_response(
        &mut self,
        cx: &mut StepContext<'_>,
        is_replay: bool,
        response: &Response,
    ) {
        match AuthorizationCodeGrant::read(response) {
            Ok(tokens) => self.on_tokens(cx.now, tokens),
            Err(OAuthError::Refused(refusal)) => {
                let Some(refusal) = self.register_again(cx, refusal) else {
                    return;
                };
                if is_replay && refusal.code == OAuthErrorCode::InvalidGrant {
                    let why = "the code was used up by the request whose answer was lost";
                    return self.start_over(cx, why);
                }
                self.conversation.fail(self.refused(refusal));
            }
            Err(error) => self.conversation.fail(self.oauth_error(error)),
        }
    }
}
