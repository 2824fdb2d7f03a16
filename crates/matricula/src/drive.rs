//! Runs a conversation: stores its writes, sends its requests, asks its prompts.

use std::{future::ready, pin::Pin};

use matricula_auth::{Answer, Conversation, Effect, Event, Input, Progress, Prompt};
use matricula_core::{
    Job, StepContext, Timestamp,
    scheduler::{self, Outcome, WaitReason},
};
use matricula_http::{Runner, SystemClock, SystemEntropy};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
};

use crate::{Error, SessionStore};

/// The answer to a prompt, once the person has given it.
pub type AnswerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Answers the prompts of a conversation, and is informed about its progress.
///
/// Any `FnMut(&Prompt) -> Answer` is a handler that ignores progress. It runs on the thread of the
/// runtime: where an answer takes time, implement the trait.
pub trait PromptHandler {
    /// Answers a prompt; [`Answer::Unavailable`] if no person can be asked.
    ///
    /// This method must not block. Code that blocks, such as reading from a terminal, belongs into
    /// [`tokio::task::spawn_blocking`]; a window or a chat bot sends the answer through a
    /// [`tokio::sync::oneshot`] channel.
    fn answer(&mut self, prompt: &Prompt) -> AnswerFuture;

    /// Receives the progress of the conversation.
    fn progress(&mut self, _: &Progress) {}

    /// Is called when a request waits: until when, and why.
    fn waiting(&mut self, _until: Timestamp, _why: &WaitReason) {}
}

impl<F: FnMut(&Prompt) -> Answer> PromptHandler for F {
    fn answer(&mut self, prompt: &Prompt) -> AnswerFuture {
        Box::pin(ready(self(prompt)))
    }
}

/// Runs a conversation to its end.
///
/// After each step its writes are stored, and only then are its effects carried out.
///
/// # Errors
/// If the conversation fails, or its writes cannot be stored.
pub async fn drive<C>(
    conversation: &mut C,
    runner: &Runner,
    store: &mut (impl SessionStore + ?Sized),
    prompts: &mut (impl PromptHandler + ?Sized),
) -> Result<C::Output, Error>
where
    C: Conversation + ?Sized,
    Error: From<C::Error>,
{
    let (watcher, mut job_events) = unbounded_channel();
    let mut tasks = JoinSet::new();
    let mut input = Input::Start;
    loop {
        let step = conversation.step(
            &mut StepContext::new(SystemClock::now(), &mut SystemEntropy),
            input,
        );
        if !step.writes.is_empty() {
            store.commit(&step.writes)?;
        }
        for event in step.events {
            match event {
                Event::Progress(progress) => prompts.progress(&progress),
                Event::Finished(result) => return Ok(result?),
                _ => {}
            }
        }
        for effect in step.effects {
            if let Some(task) = carry_out(effect, runner, prompts, &watcher) {
                tasks.spawn(task);
            }
        }
        input = next_input(&mut tasks, &mut job_events, prompts).await;
    }
}

/// Starts an effect. The future ends in the input that answers it.
fn carry_out(
    effect: Effect,
    runner: &Runner,
    prompts: &mut (impl PromptHandler + ?Sized),
    watcher: &UnboundedSender<scheduler::Event>,
) -> Option<Pin<Box<dyn Future<Output = Input> + Send>>> {
    match effect {
        Effect::Send(id, job) => {
            let (runner, watcher) = (runner.clone(), watcher.clone());
            Some(Box::pin(async move {
                // The receiver is gone only if the conversation is over.
                let watch = |event: &scheduler::Event| drop(watcher.send(event.clone()));
                Input::Outcome(id, run_watched(&runner, *job, watch).await)
            }))
        }
        Effect::Ask(id, prompt) => {
            let answer = prompts.answer(&prompt);
            Some(Box::pin(async move { Input::Answer(id, answer.await) }))
        }
        Effect::Wait(id, until) => Some(Box::pin(async move {
            tokio::time::sleep(until.since(SystemClock::now())).await;
            Input::Waited(id)
        })),
        _ => None,
    }
}

/// Waits for the first effect that ends, and reports meanwhile which requests wait.
async fn next_input(
    tasks: &mut JoinSet<Input>,
    job_events: &mut UnboundedReceiver<scheduler::Event>,
    prompts: &mut (impl PromptHandler + ?Sized),
) -> Input {
    loop {
        tokio::select! {
            biased;
            Some(event) = job_events.recv() => {
                if let scheduler::Event::Waiting { until, reason, .. } = event {
                    prompts.waiting(until, &reason);
                }
            }
            Some(ended) = tasks.join_next() => match ended {
                Ok(input) => return input,
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
