//! The loop that brings a conversation, a server, a person and a store together.

use std::pin::Pin;

use matricula_auth::{Answer, Conversation, Effect, Event, Input, Progress, Prompt};
use matricula_core::{
    Job, StepContext, Timestamp,
    scheduler::{self, Outcome, WaitReason},
};
use matricula_http::{Runner, SystemClock, SystemEntropy};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{Error, SessionStore};

/// An answer that takes its time.
pub type AnswerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Whoever can be asked, and told how it goes.
///
/// Any `FnMut(&Question) -> Reply` is one that watches nothing.
pub trait PromptHandler {
    /// Answers a question; [`Answer::Unavailable`] where there is no one.
    fn ask(&mut self, question: &Prompt) -> Answer;

    /// Begins to answer a question that takes its time, such as one that is answered in a browser or
    /// a chat, without holding anything up; `None` where [`PromptHandler::ask`] answers it.
    fn answer_later(&mut self, _: &Prompt) -> Option<AnswerFuture> {
        None
    }

    /// Hears how the conversation goes.
    fn progress(&mut self, _: &Progress) {}

    /// Hears that a request waits, until when, and why.
    fn waiting(&mut self, _until: Timestamp, _why: &WaitReason) {}
}

impl<F: FnMut(&Prompt) -> Answer> PromptHandler for F {
    fn ask(&mut self, question: &Prompt) -> Answer {
        self(question)
    }
}

/// Runs a conversation to its end: stores what it commits, sends what it wants sent, asks what it
/// wants asked.
///
/// # Errors
/// Where the conversation fails, or something could not be stored.
pub async fn drive<C: Conversation>(
    conversation: &mut C,
    runner: &Runner,
    keeper: &mut (impl SessionStore + ?Sized),
    person: &mut (impl PromptHandler + ?Sized),
) -> Result<C::Output, Error> {
    let mut on_their_way = JoinSet::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut inputs = vec![Input::Start];
    loop {
        while let Some(input) = inputs.pop() {
            let step = conversation.step(
                &mut StepContext::new(SystemClock::now(), &mut SystemEntropy),
                input,
            );
            if !step.writes.is_empty() {
                keeper.commit(&step.writes)?;
            }
            for event in step.events {
                match event {
                    Event::Progress(notice) => person.progress(&notice),
                    Event::Finished(result) => return Ok(result?),
                    _ => {}
                }
            }
            for effect in step.effects {
                match effect {
                    Effect::Send(id, job) => {
                        let (runner, tell) = (runner.clone(), tell.clone());
                        on_their_way.spawn(async move {
                            let watch = |event: &scheduler::Event| {
                                // Nobody listens any more only when the conversation is over.
                                let _ = tell.send(event.clone());
                            };
                            Input::Outcome(id, run_watched(&runner, *job, watch).await)
                        });
                    }
                    Effect::Ask(id, question) => match person.answer_later(&question) {
                        Some(later) => {
                            on_their_way.spawn(async move { Input::Answer(id, later.await) });
                        }
                        None => inputs.push(Input::Answer(id, person.ask(&question))),
                    },
                    Effect::Wait(id, until) => {
                        on_their_way.spawn(async move {
                            tokio::time::sleep(until.since(SystemClock::now())).await;
                            Input::Waited(id)
                        });
                    }
                    _ => {}
                }
            }
        }
        tokio::select! {
            biased;
            Some(event) = told.recv() => {
                if let scheduler::Event::Waiting { until, reason, .. } = event {
                    person.waiting(until, &reason);
                }
            }
            Some(joined) = on_their_way.join_next() => match joined {
                Ok(input) => inputs.push(input),
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            },
        }
    }
}

/// Runs a job to its end and passes its events to `watch`. Dropping the future cancels the job.
pub(crate) async fn run_watched(
    runner: &Runner,
    job: Job,
    mut watch: impl FnMut(&scheduler::Event),
) -> Outcome {
    let mut handle = match runner.submit(job).await {
        Ok(handle) => handle.cancel_on_drop(),
        Err(error) => return error.into_outcome(),
    };
    while let Some(event) = handle.next().await {
        watch(&event);
    }
    handle.await
}
