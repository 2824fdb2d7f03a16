//! The way through a browser: a page, the address it leads back to, and the code in that.

use matricula_api::{
    oauth::{
        AuthorizationCodeGrant, AuthorizationPrompt, AuthorizationRequest, CallbackError,
        CodeVerifier, OAuthEndpoint, OAuthError, OAuthErrorCode, OAuthErrorResponse, Scope,
        read_callback,
    },
    uia::Stage,
};
use matricula_core::{Response, Secret, StepContext, scheduler::Outcome};

use super::{
    login::{GrantMethod, OAuthLogin, Phase, Turn, settling},
    pkce,
};
use crate::{Answer, AuthError, Effect, Event, Progress, Prompt};

impl OAuthLogin {
    pub(super) fn tell_route(&self, sign_up: bool, turn: &mut Turn) {
        let issuer = self.issuer();
        let can_sign_up = self
            .provider
            .as_ref()
            .is_some_and(|known| known.can_sign_up);
        let why = match (sign_up, can_sign_up) {
            (false, _) => format!("the server lets people in at its OAuth 2.0 server, {issuer}"),
            (true, true) => format!("the server makes accounts at its OAuth 2.0 server, {issuer}"),
            (true, false) => format!(
                "the server makes accounts at its OAuth 2.0 server, {issuer}, which does not say that its page can begin with signing up: choose so there"
            ),
        };
        let stages = vec![Stage::OAuth];
        turn.events
            .push(Event::Progress(Progress::Route { stages, why }));
    }

    /// Draws what proves who asked, and asks the person to open the page.
    pub(super) fn new_page(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        let (state, verifier) = (pkce::draw(cx.entropy), pkce::draw(cx.entropy));
        self.open_page(state, verifier, None, turn);
    }

    pub(super) fn open_page(
        &mut self,
        state: Secret,
        verifier: Secret,
        why: Option<String>,
        turn: &mut Turn,
    ) {
        let url = match self.page(&state, &verifier) {
            Ok(url) => url,
            Err(error) => return self.end(Err(error), turn),
        };
        let redirect_uri = self.redirect_uri().unwrap_or_default().to_owned();
        self.phase = Phase::Page {
            state: state.clone(),
            verifier,
        };
        let question = Prompt::OpenPage {
            url,
            redirect_uri,
            state,
            why,
        };
        let id = self.next_effect();
        turn.effects.push(Effect::Ask(id, question));
    }

    fn page(&self, state: &Secret, verifier: &Secret) -> Result<Secret, AuthError> {
        let refuse = |what: String| AuthError::NotMatrix {
            server: self.server().clone(),
            what,
        };
        let (
            Some(provider),
            Some(client),
            GrantMethod::Browser {
                redirect_uri,
                sign_up,
            },
        ) = (&self.provider, &self.client, &self.way)
        else {
            return Err(refuse("its OAuth 2.0 server is not known".into()));
        };
        let device_id = self.device_id.as_deref().unwrap_or_default();
        let scope = Scope::client(device_id).map_err(|error| refuse(error.to_string()))?;
        let challenge = pkce::challenge(verifier).map_err(|error| refuse(error.to_string()))?;
        let mut request = AuthorizationRequest::new(
            client.client_id.clone(),
            redirect_uri.clone(),
            scope,
            state.clone(),
            challenge,
        );
        if *sign_up && provider.can_sign_up {
            request = request.prompt(AuthorizationPrompt::Create);
        }
        let url = request.url(&provider.authorization_endpoint);
        url.map(Secret::from)
            .map_err(|error| refuse(error.to_string()))
    }

    pub(super) fn on_page(
        &mut self,
        cx: &mut StepContext<'_>,
        (state, verifier): (Secret, Secret),
        reply: Answer,
        turn: &mut Turn,
    ) {
        let url = match reply {
            Answer::Text(url) => url,
            Answer::No => return self.end(Err(AuthError::Cancelled), turn),
            Answer::Yes => Secret::default(),
            Answer::Unavailable => {
                let issuer = self.issuer();
                let phase = self.phase.clone();
                return match self.page(&state, &verifier) {
                    Ok(url) => self.pause(phase, AuthError::BrowserNeeded { issuer, url }, turn),
                    Err(error) => self.end(Err(error), turn),
                };
            }
        };
        match read_callback(url.expose().trim(), &state) {
            Ok(code) => self.redeem(code, verifier, false, turn),
            Err(CallbackError::Refused(refusal)) => self.on_refusal(cx, refusal, turn),
            // Anyone can make a browser open the address: that must not end it, nor go on for ever.
            Err(error) => {
                let what = error.to_string();
                if self.one_more_try() {
                    return self.open_page(state, verifier, Some(what), turn);
                }
                let issuer = self.issuer();
                self.end(Err(AuthError::WrongCallback { issuer, what }), turn);
            }
        }
    }

    fn on_refusal(
        &mut self,
        cx: &mut StepContext<'_>,
        refusal: OAuthErrorResponse,
        turn: &mut Turn,
    ) {
        let Some(refusal) = self.introduce_anew(cx, refusal, turn) else {
            return;
        };
        let is_passing = is_passing(&refusal);
        let error = self.turned_down(refusal);
        match is_passing {
            true => self.pause(Phase::Ready, error, turn),
            false => self.end(Err(error), turn),
        }
    }

    /// Gets tokens for the code. `again`: the same request may have been processed already.
    pub(super) fn redeem(&mut self, code: Secret, verifier: Secret, again: bool, turn: &mut Turn) {
        let job = self.grant(&code, &verifier);
        self.phase = Phase::Redeeming {
            code,
            verifier,
            again,
        };
        match job {
            Ok(job) => self.send(job, turn),
            Err(what) => {
                let server = self.server().clone();
                self.end(Err(AuthError::NotMatrix { server, what }), turn);
            }
        }
    }

    fn grant(&self, code: &Secret, verifier: &Secret) -> Result<matricula_core::Job, String> {
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
        (code, verifier, again): (Secret, Secret, bool),
        outcome: Outcome,
        turn: &mut Turn,
    ) {
        let phase = self.phase.clone();
        match outcome {
            Outcome::Responded(response) if response.status_code() == 429 => {
                let error = AuthorizationCodeGrant::read(&response).map(|_| AuthError::Cancelled);
                let error = error.unwrap_or_else(|error| self.refused(error));
                self.pause(phase, error, turn);
            }
            Outcome::Responded(response) if response.status_code() >= 500 => {
                let what = format!("it answered with status {}", response.status_code());
                self.redeem_again((code, verifier, again), what, None, turn);
            }
            Outcome::Responded(response) => self.on_tokens(cx, again, &response, turn),
            Outcome::InDoubt(error) => {
                let what = error.to_string();
                self.redeem_again((code, verifier, again), what, Some(error), turn);
            }
            Outcome::Failed(error) => {
                let error = self.unreachable(error);
                self.pause(phase, error, turn);
            }
            _ => self.pause(phase, AuthError::Cancelled, turn),
        }
    }

    /// Sends the same once more. If the first was processed, the server refuses the code, and drops
    /// what it gave for it: nothing is left behind that nobody knows of.
    fn redeem_again(
        &mut self,
        (code, verifier, again): (Secret, Secret, bool),
        what: String,
        error: Option<matricula_core::TransportError>,
        turn: &mut Turn,
    ) {
        if !again {
            settling(
                format!("the answer with the tokens was lost ({what})"),
                turn,
            );
            return self.redeem(code, verifier, true, turn);
        }
        let error = match error {
            Some(error) => self.unreachable(error),
            None => AuthError::NotMatrix {
                server: self.server().clone(),
                what: format!("asked for tokens, {what}"),
            },
        };
        let phase = self.phase.clone();
        self.pause(phase, error, turn);
    }

    fn on_tokens(
        &mut self,
        cx: &mut StepContext<'_>,
        again: bool,
        response: &Response,
        turn: &mut Turn,
    ) {
        match AuthorizationCodeGrant::read(response) {
            Ok(tokens) => self.take(cx.now, tokens, turn),
            Err(OAuthError::Refused(refusal)) => {
                let Some(refusal) = self.introduce_anew(cx, refusal, turn) else {
                    return;
                };
                if again && refusal.code == OAuthErrorCode::InvalidGrant {
                    let why = "the code was used up by the request whose answer was lost";
                    return self.begin_again(cx, why.to_owned(), turn);
                }
                let error = self.turned_down(refusal);
                self.end(Err(error), turn);
            }
            Err(error) => {
                let error = self.refused(error);
                self.end(Err(error), turn);
            }
        }
    }
}

/// Whether the server may think otherwise in a while.
pub(super) fn is_passing(refusal: &OAuthErrorResponse) -> bool {
    let code = &refusal.code;
    matches!(
        code,
        OAuthErrorCode::ServerError | OAuthErrorCode::TemporarilyUnavailable
    ) || refusal.status.is_some_and(|status| status >= 500)
}
