//! What all conversations share: their inputs, effects and events, and the [`ConversationState`] that does
//! their bookkeeping.

use std::fmt;

use matricula_api::{UserId, uia::Stage};
use matricula_core::{
    EffectId, Job, Machine, ServerUrl, Step, Timestamp, WriteBatch, scheduler::Outcome,
};
use serde::{Deserialize, Serialize};

use crate::{Account, Answer, Prompt};

/// A machine that talks to a server, perhaps to a person, and ends in a result.
pub trait Conversation:
    Machine<
        Input = Input,
        Effect = Effect,
        Event = Event<<Self as Conversation>::Output, <Self as Conversation>::Error>,
    >
{
    /// The result of success.
    type Output;
    /// Why it fails.
    type Error;
}

/// What can happen to a conversation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// Begin, or continue after the conversation was read back from a store.
    Start,
    /// The result of a job that was sent.
    Outcome(EffectId, Outcome),
    /// The person's answer to a prompt.
    Answer(EffectId, Answer),
    /// The time of an [`Effect::Wait`] has come.
    Waited(EffectId),
}

/// What a conversation asks the caller to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Run this job to its end.
    Send(EffectId, Box<Job>),
    /// Ask the person.
    Ask(EffectId, Prompt),
    /// Wait until this time, then step with [`Input::Waited`].
    Wait(EffectId, Timestamp),
}

/// What a conversation reports.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<T, E> {
    /// Progress, for a user interface.
    Progress(Progress),
    /// The result. Reported exactly once for each [`Input::Start`].
    Finished(Result<T, E>),
}

/// Progress of a conversation, for a user interface.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// An authentication flow was chosen.
    Route {
        /// The stages to complete, in order.
        stages: Vec<Stage>,
        /// Why this flow.
        why: String,
    },
    /// The server accepted a stage.
    StageDone(Stage),
    /// The person said that a stage is completed elsewhere, and the server does not know it yet. It is
    /// asked again now and then. Reported once for each such answer.
    StageNotDone {
        /// The stage.
        stage: Stage,
        /// The server's message; may be empty.
        message: String,
    },
    /// The server's name has no well-known document, so the name itself is used as the address.
    NoWellKnown {
        /// The name.
        name: String,
        /// The address.
        server: ServerUrl,
    },
    /// The server does not give a session here: the account is made without one.
    NoSession,
    /// A request may or may not have been processed; this says how the conversation finds out.
    Settling(String),
    /// A part of the conversation begins again, for this reason.
    BeginningAgain(String),
    /// The OAuth 2.0 server did not grant Synapse's admin API to the session.
    AdminNotGranted {
        /// The OAuth 2.0 server.
        issuer: String,
    },
    /// The session is there, but its device did not get its name.
    DeviceNotNamed {
        /// The name.
        name: String,
        /// Why.
        why: String,
    },
    /// A registration on a page ended in an account that existed before: no account was made.
    AccountExisted(UserId),
    /// The person is to enter this code on this page, in any browser. No answer is expected.
    DeviceCode {
        /// The page.
        url: String,
        /// The page with the code in its address, for a QR code.
        url_with_code: Option<String>,
        /// The code.
        user_code: String,
        /// When the code expires.
        expires_at: Timestamp,
    },
}

/// The most requests of one registration or authenticated request, after which the server is said to
/// ask without end. Polls have a limit of their own.
pub(crate) const MAX_REQUESTS: u32 = 40;
/// How often a person may answer a question again in one conversation.
const MAX_TRIES: u32 = 5;

/// The bookkeeping of one conversation: effect ids, the number of requests, and the step under way.
///
/// A conversation calls [`send`](Self::send), [`ask`](Self::ask), [`wait`](Self::wait) and
/// [`finish`](Self::finish) while it handles an input, and returns [`take_step`](Self::take_step) at the
/// end. Between two steps the step under way is empty, so a clone and a stored copy leave it out.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ConversationState<T, E> {
    last_effect: u64,
    requests: u32,
    tries: u32,
    #[serde(skip)]
    is_over: bool,
    #[serde(skip)]
    step: Step<Effect, Event<T, E>>,
}

impl<T, E> ConversationState<T, E> {
    /// The input, if the conversation waits for it: [`Input::Start`], or what answers the last effect.
    /// `None` once the conversation is over.
    pub fn accept(&self, input: Input) -> Option<Input> {
        let is_awaited = match &input {
            Input::Start => true,
            Input::Outcome(id, _) | Input::Answer(id, _) | Input::Waited(id) => {
                id.0 == self.last_effect
            }
        };
        (is_awaited && !self.is_over).then_some(input)
    }

    /// Sends a job.
    pub fn send(&mut self, job: Job) -> EffectId {
        self.requests += 1;
        self.effect(|id| Effect::Send(id, Box::new(job)))
    }

    /// Asks the person.
    pub fn ask(&mut self, prompt: Prompt) -> EffectId {
        self.effect(|id| Effect::Ask(id, prompt))
    }

    /// Waits until this time.
    pub fn wait(&mut self, until: Timestamp) -> EffectId {
        self.effect(|id| Effect::Wait(id, until))
    }

    fn effect(&mut self, effect: impl FnOnce(EffectId) -> Effect) -> EffectId {
        self.last_effect += 1;
        let id = EffectId(self.last_effect);
        self.step.effects.push(effect(id));
        id
    }

    /// How many jobs were sent.
    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// Does not count the last request: polling has a limit of its own.
    pub fn uncount_request(&mut self) {
        self.requests = self.requests.saturating_sub(1);
    }

    /// Counts a repeated question, if this is one. Returns whether the person may still try.
    pub fn count_try(&mut self, is_repeated: bool) -> bool {
        self.tries += u32::from(is_repeated);
        self.tries <= MAX_TRIES
    }

    /// Reports progress.
    pub fn progress(&mut self, progress: Progress) {
        self.step.events.push(Event::Progress(progress));
    }

    /// Reports how the conversation finds out whether a request was processed.
    pub fn settling(&mut self, how: impl Into<String>) {
        self.progress(Progress::Settling(how.into()));
    }

    /// What this step stores.
    pub fn writes(&mut self) -> &mut WriteBatch {
        &mut self.step.writes
    }

    /// Ends the conversation: its stored state is removed, and it accepts no more inputs.
    pub fn finish(&mut self, result: Result<T, E>) {
        self.is_over = true;
        self.stop(result);
    }

    /// Ends the conversation for now: its stored state stays, and [`Input::Start`] continues it.
    pub fn pause(&mut self, error: impl Into<E>) {
        self.stop(Err(error.into()));
    }

    /// [Ends](Self::finish) the conversation with an error.
    pub fn fail(&mut self, error: impl Into<E>) {
        self.finish(Err(error.into()));
    }

    /// Makes a conversation that is over accept inputs again.
    pub(crate) fn restart(&mut self) {
        self.is_over = false;
        self.requests = 0;
    }

    fn stop(&mut self, result: Result<T, E>) {
        self.step.effects.clear();
        self.step.events.push(Event::Finished(result));
    }

    /// Whether the conversation has ended for good.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The step that the calls since the last one add up to.
    pub fn take_step(&mut self) -> Step<Effect, Event<T, E>> {
        std::mem::take(&mut self.step)
    }

    /// Numbers effects from the last one of `other`: both are parts of one conversation.
    pub(crate) fn continue_after<U, F>(&mut self, other: &ConversationState<U, F>) {
        self.last_effect = other.last_effect;
    }

    /// Takes over the step of a part of this conversation. The part's result is returned if it ended.
    pub(crate) fn take_over<U, F>(
        &mut self,
        step: Step<Effect, Event<U, F>>,
    ) -> Option<Result<U, F>> {
        self.step.writes.append(step.writes);
        self.step.effects.extend(step.effects);
        let mut result = None;
        for event in step.events {
            match event {
                Event::Progress(progress) => self.progress(progress),
                Event::Finished(finished) => result = Some(finished),
            }
        }
        result
    }
}

impl<E> ConversationState<Account, E> {
    /// [Ends](Self::finish) the conversation and stores its account.
    pub fn finish_account(&mut self, result: Result<Account, E>) {
        if let Ok(account) = &result {
            account.write_to(&mut self.step.writes);
        }
        self.finish(result);
    }
}

/// Adds the state of a conversation to its step: stored while it continues, removed when it is over.
pub(crate) fn persist<T, E>(
    mut step: Step<Effect, Event<T, E>>,
    is_over: bool,
    (table, key): (&'static str, &str),
    state: &impl Serialize,
) -> Step<Effect, Event<T, E>> {
    if is_over {
        step.writes.remove(table, key);
    } else {
        step.writes.put(table, key, to_json(state));
    }
    step
}

/// The JSON of a value that is stored.
///
/// # Panics
/// If the value has no JSON form. That is a programming error: what conversations store is made of
/// texts, numbers, flags, lists and maps with text keys, which always have one.
pub fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("stored values have a JSON form")
}

impl<T, E> Default for ConversationState<T, E> {
    fn default() -> Self {
        Self {
            last_effect: 0,
            requests: 0,
            tries: 0,
            is_over: false,
            step: Step::default(),
        }
    }
}

impl<T, E> Clone for ConversationState<T, E> {
    fn clone(&self) -> Self {
        Self {
            last_effect: self.last_effect,
            requests: self.requests,
            tries: self.tries,
            is_over: self.is_over,
            step: Step::default(),
        }
    }
}

impl<T, E> PartialEq for ConversationState<T, E> {
    fn eq(&self, other: &Self) -> bool {
        let fields = |state: &Self| {
            let Self {
                last_effect,
                requests,
                tries,
                is_over,
                step: _,
            } = state;
            (*last_effect, *requests, *tries, *is_over)
        };
        fields(self) == fields(other)
    }
}

impl<T, E> fmt::Debug for ConversationState<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConversationState")
            .field("last_effect", &self.last_effect)
            .field("requests", &self.requests)
            .field("tries", &self.tries)
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}

/// Converts the error in a step.
pub fn convert_error<T, E, F: From<E>>(
    step: Step<Effect, Event<T, E>>,
) -> Step<Effect, Event<T, F>> {
    let convert = |event| match event {
        Event::Progress(progress) => Event::Progress(progress),
        Event::Finished(result) => Event::Finished(result.map_err(F::from)),
    };
    Step {
        writes: step.writes,
        effects: step.effects,
        events: step.events.into_iter().map(convert).collect(),
        wake_at: step.wake_at,
    }
}
