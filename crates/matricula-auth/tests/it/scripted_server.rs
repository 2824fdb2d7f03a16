//! Runs a conversation against scripted responses, with its own clock and entropy.

use matricula_auth::{Answer, AuthError, Conversation, Effect, Event, Input, Progress, Prompt};
use matricula_core::{
    Body, EffectId, Job, Processed, Response, SeededEntropy, Step, StepContext, Timestamp,
    TransportError, TransportErrorKind, WriteBatch, scheduler::Outcome,
};
use serde_json::Value;

/// Steps a conversation and remembers what it did.
pub(crate) struct ScriptedServer<C: Conversation> {
    pub(crate) conversation: C,
    pub(crate) now: u64,
    entropy: SeededEntropy,
    waiting: Vec<(EffectId, Waiting)>,
    pub(crate) commits: Vec<WriteBatch>,
    pub(crate) progress: Vec<Progress>,
    pub(crate) result: Option<Result<C::Output, AuthError>>,
    /// `METHOD path` of every request, in order.
    pub(crate) requests: Vec<String>,
}

enum Waiting {
    Response(Box<Job>),
    Answer(Prompt),
    Time(Timestamp),
}

impl<C: Conversation<Error: Into<AuthError>>> ScriptedServer<C> {
    /// Begins the conversation.
    pub(crate) fn start(conversation: C) -> Self {
        let mut server = Self {
            conversation,
            now: 1_700_000_000_000,
            entropy: SeededEntropy::new(42),
            waiting: Vec::new(),
            commits: Vec::new(),
            progress: Vec::new(),
            result: None,
            requests: Vec::new(),
        };
        server.step(Input::Start);
        server
    }

    pub(crate) fn step(&mut self, input: Input) {
        let mut cx = StepContext::new(Timestamp::from_millis(self.now), &mut self.entropy);
        let step: Step<Effect, Event<C::Output, C::Error>> = self.conversation.step(&mut cx, input);
        if !step.writes.is_empty() {
            self.commits.push(step.writes);
        }
        for effect in step.effects {
            match effect {
                Effect::Send(id, job) => {
                    let path = job.url().splitn(4, '/').nth(3).unwrap_or_default();
                    self.requests
                        .push(format!("{} /{path}", job.request_method()));
                    self.waiting.push((id, Waiting::Response(job)));
                }
                Effect::Ask(id, question) => self.waiting.push((id, Waiting::Answer(question))),
                Effect::Wait(id, until) => self.waiting.push((id, Waiting::Time(until))),
                other => panic!("unexpected effect {other:?}"),
            }
        }
        for event in step.events {
            match event {
                Event::Progress(notice) => self.progress.push(notice),
                Event::Finished(result) => {
                    assert!(self.result.is_none(), "it finished twice");
                    self.result = Some(result.map_err(Into::into));
                }
                other => panic!("unexpected event {}", std::any::type_name_of_val(&other)),
            }
        }
    }

    /// The one request that waits for a response.
    pub(crate) fn job(&self) -> &Job {
        match &self.waiting[..] {
            [(_, Waiting::Response(job))] => job,
            _ => panic!("not exactly one request waits; so far: {:?}", self.requests),
        }
    }

    /// The oldest request that waits for a response.
    pub(crate) fn any_job(&self) -> &Job {
        let mut jobs = self
            .waiting
            .iter()
            .filter_map(|(_, waiting)| match waiting {
                Waiting::Response(job) => Some(&**job),
                _ => None,
            });
        jobs.next().expect("a request waits")
    }

    /// Responds to the oldest waiting request.
    pub(crate) fn respond_first(&mut self, status: u16, body: &str) -> &mut Self {
        let body = Body::Json(body.into());
        let response = self.any_job().respond(Response::new(status, vec![], body));
        self.outcome_of_first(Outcome::Responded(response))
    }

    /// The oldest waiting request fails.
    pub(crate) fn fail(&mut self, error: TransportError) -> &mut Self {
        self.outcome_of_first(Outcome::Failed(error))
    }

    fn outcome_of_first(&mut self, outcome: Outcome) -> &mut Self {
        let is_answer = |(_, waiting): &(_, Waiting)| matches!(waiting, Waiting::Response(_));
        let at = self
            .waiting
            .iter()
            .position(is_answer)
            .expect("a request waits");
        let (id, _) = self.waiting.remove(at);
        self.step(Input::Outcome(id, outcome));
        self
    }

    /// The request to this path that waits, among several.
    pub(crate) fn job_to(&self, path: &str) -> &Job {
        let jobs = self
            .waiting
            .iter()
            .filter_map(|(_, waiting)| match waiting {
                Waiting::Response(job) => Some(&**job),
                _ => None,
            });
        jobs.into_iter()
            .find(|job| job.url().ends_with(path))
            .unwrap_or_else(|| panic!("no request to {path} waits"))
    }

    /// The body of the one request that waits.
    pub(crate) fn body(&self) -> Value {
        serde_json::from_slice(self.job().request_body().as_bytes()).unwrap()
    }

    /// Responds to the one waiting request.
    pub(crate) fn respond(&mut self, status: u16, body: &Value) -> &mut Self {
        self.respond_text(status, &body.to_string())
    }

    pub(crate) fn respond_text(&mut self, status: u16, body: &str) -> &mut Self {
        let response = self
            .job()
            .respond(Response::new(status, vec![], Body::Json(body.into())));
        self.outcome(Outcome::Responded(response))
    }

    pub(crate) fn outcome(&mut self, outcome: Outcome) -> &mut Self {
        self.job();
        let (id, _) = self.waiting.remove(0);
        self.step(Input::Outcome(id, outcome));
        self
    }

    /// Responds to the request to this path, among several.
    pub(crate) fn respond_path(&mut self, path: &str, status: u16, body: &str) -> &mut Self {
        let at = self
            .waiting
            .iter()
            .position(
                |(_, waiting)| matches!(waiting, Waiting::Response(job) if job.url().ends_with(path)),
            )
            .unwrap_or_else(|| panic!("no request to {path} waits"));
        let (id, waiting) = self.waiting.remove(at);
        let Waiting::Response(job) = waiting else {
            unreachable!()
        };
        let response = job.respond(Response::new(status, vec![], Body::Json(body.into())));
        self.step(Input::Outcome(id, Outcome::Responded(response)));
        self
    }

    /// Loses the response to the one waiting request.
    pub(crate) fn lose(&mut self) -> &mut Self {
        self.outcome(Outcome::InDoubt(transport_error(
            TransportErrorKind::ConnectionLost,
        )))
    }

    pub(crate) fn is_asking(&self) -> bool {
        matches!(&self.waiting[..], [(_, Waiting::Answer(_))])
    }

    /// The one question that waits.
    pub(crate) fn question(&self) -> &Prompt {
        match &self.waiting[..] {
            [(_, Waiting::Answer(question))] => question,
            _ => panic!(
                "not exactly one question waits; so far: {:?}",
                self.requests
            ),
        }
    }

    /// Answers the one question that waits.
    pub(crate) fn answer(&mut self, answer: Answer) -> &mut Self {
        self.question();
        let (id, _) = self.waiting.remove(0);
        self.step(Input::Answer(id, answer));
        self
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(&self.waiting[..], [(_, Waiting::Time(_))])
    }

    /// Advances the clock to the end of the wait. Returns the milliseconds waited.
    pub(crate) fn wake(&mut self) -> u64 {
        let [(id, Waiting::Time(until))] = self.waiting[..] else {
            panic!("it does not wait for a time; so far: {:?}", self.requests)
        };
        self.waiting.clear();
        let waited = until.as_millis().saturating_sub(self.now);
        self.now += waited;
        self.step(Input::Waited(id));
        waited
    }

    pub(crate) fn ok(&self) -> &C::Output {
        match &self.result {
            Some(Ok(output)) => output,
            Some(Err(error)) => panic!("it failed: {error}"),
            None => panic!("it is not finished; so far: {:?}", self.requests),
        }
    }

    pub(crate) fn error(&self) -> &AuthError {
        match &self.result {
            Some(Err(error)) => error,
            Some(Ok(_)) => panic!("it succeeded"),
            None => panic!("it is not finished; so far: {:?}", self.requests),
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
