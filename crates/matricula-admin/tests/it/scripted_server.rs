//! A server that is scripted by the test: it answers the requests of a conversation one at a time.

use matricula_admin::AdminError;
use matricula_auth::{Account, Conversation, Effect, Event, Input};
use matricula_core::{
    Body, EffectId, Job, Processed, Response, SeededEntropy, StepContext, Timestamp,
    TransportError, TransportErrorKind, WriteBatch, scheduler::Outcome,
};
use serde_json::{Value, json};

/// The server of one conversation, and what the conversation did so far.
pub(crate) struct ScriptedServer<C: Conversation<Error = AdminError>> {
    conversation: C,
    entropy: SeededEntropy,
    in_flight: Option<(EffectId, Box<Job>)>,
    /// What the conversation stored, one batch for each step.
    pub(crate) commits: Vec<WriteBatch>,
    result: Option<Result<C::Output, AdminError>>,
    /// `METHOD path` of every request, in order.
    pub(crate) requests: Vec<String>,
}

impl<C: Conversation<Error = AdminError>> ScriptedServer<C> {
    pub(crate) fn start(conversation: C) -> Self {
        let mut server = Self {
            conversation,
            entropy: SeededEntropy::new(42),
            in_flight: None,
            commits: Vec::new(),
            result: None,
            requests: Vec::new(),
        };
        server.step(Input::Start);
        server
    }

    fn step(&mut self, input: Input) {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let mut cx = StepContext::new(now, &mut self.entropy);
        let step = self.conversation.step(&mut cx, input);
        if !step.writes.is_empty() {
            self.commits.push(step.writes);
        }
        for effect in step.effects {
            let Effect::Send(id, job) = effect else {
                panic!("unexpected effect {effect:?}")
            };
            let path = job.url().splitn(4, '/').nth(3).unwrap_or_default();
            let request = format!("{} /{path}", job.request_method());
            self.requests.push(request);
            let before = self.in_flight.replace((id, job));
            assert!(before.is_none(), "two requests are in flight");
        }
        for event in step.events {
            if let Event::Finished(result) = event {
                let before = self.result.replace(result);
                assert!(before.is_none(), "it finished twice");
            }
        }
    }

    pub(crate) fn conversation(&self) -> &C {
        &self.conversation
    }

    /// The request in flight.
    pub(crate) fn job(&self) -> &Job {
        match &self.in_flight {
            Some((_, job)) => job,
            None => panic!("no request is in flight; so far: {:?}", self.requests),
        }
    }

    /// The body of the request in flight.
    pub(crate) fn body(&self) -> Value {
        serde_json::from_slice(self.job().request_body().as_bytes()).unwrap()
    }

    pub(crate) fn answer(&mut self, status: u16, body: &Value) -> &mut Self {
        self.answer_text(status, &body.to_string())
    }

    pub(crate) fn answer_text(&mut self, status: u16, body: &str) -> &mut Self {
        let response = Response::new(status, vec![], Body::Json(body.into()));
        let response = self.job().respond(response);
        self.outcome(Outcome::Responded(response))
    }

    pub(crate) fn outcome(&mut self, outcome: Outcome) -> &mut Self {
        self.job();
        let (id, _) = self.in_flight.take().expect("checked above");
        self.step(Input::Outcome(id, outcome));
        self
    }

    /// Loses the response to the request in flight.
    pub(crate) fn lose(&mut self) -> &mut Self {
        let error = transport_error(TransportErrorKind::ConnectionLost);
        self.outcome(Outcome::InDoubt(error))
    }

    pub(crate) fn ok(&self) -> &C::Output {
        match &self.result {
            Some(Ok(output)) => output,
            Some(Err(error)) => panic!("it failed: {error}"),
            None => panic!("it has not finished; so far: {:?}", self.requests),
        }
    }

    pub(crate) fn error(&self) -> &AdminError {
        match &self.result {
            Some(Err(error)) => error,
            Some(Ok(_)) => panic!("it succeeded"),
            None => panic!("it has not finished; so far: {:?}", self.requests),
        }
    }
}

pub(crate) fn transport_error(kind: TransportErrorKind) -> TransportError {
    TransportError {
        kind,
        processed: Processed::Maybe,
        message: "the network broke".into(),
    }
}

/// The body of an error response with this `errcode`.
pub(crate) fn error_body(code: &str) -> Value {
    json!({ "errcode": code, "error": "the server's words" })
}

/// The session of an administrator.
pub(crate) fn administrator() -> Account {
    serde_json::from_value(json!({
        "user_id": "@admin:example.org",
        "server": "https://matrix.example.org",
        "device_id": "DEV",
        "access_token": "admins-token",
        "expires_at": null,
    }))
    .unwrap()
}
