//! Runs a conversation: stores its writes, sends its requests, asks its prompts.

use std::{
    future::{poll_fn, ready},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use matricula_auth::{Answer, Conversation, Effect, Event, Input, Progress, Prompt};
use matricula_core::{
    EffectId, Job, StepContext, Timestamp,
    scheduler::{self, Outcome, WaitReason},
};
use matricula_http::{Runner, SystemClock, SystemEntropy};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
};

use crate::{
    Error, SessionStore,
    future::{BoxFuture, boxed},
};

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
    let mut tasks = Tasks::new(runner);
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
            match effect {
                Effect::Ask(id, prompt) => tasks.ask(id, prompts.answer(&prompt)),
                effect => tasks.start(effect),
            }
        }
        input = loop {
            match poll_fn(|cx| tasks.poll_next(cx)).await {
                Next::Input(input) => break input,
                Next::Waiting(until, why) => prompts.waiting(until, &why),
            }
        };
    }
}

/// The effects that are being carried out. Only this part of driving awaits: it is the same for all
/// conversations, and compiled once.
struct Tasks {
    runner: Runner,
    running: JoinSet<Input>,
    watcher: UnboundedSender<scheduler::Event>,
    job_events: UnboundedReceiver<scheduler::Event>,
}

/// What [`Tasks`] report.
enum Next {
    /// An effect has ended in this input.
    Input(Input),
    /// A request waits: until when, and why.
    Waiting(Timestamp, WaitReason),
}

impl Tasks {
    fn new(runner: &Runner) -> Self {
        let (watcher, job_events) = unbounded_channel();
        Self {
            runner: runner.clone(),
            running: JoinSet::new(),
            watcher,
            job_events,
        }
    }

    fn ask(&mut self, id: EffectId, answer: AnswerFuture) {
        self.spawn(boxed(async move { Input::Answer(id, answer.await) }));
    }

    /// Starts an effect that needs no person.
    fn start(&mut self, effect: Effect) {
        match effect {
            Effect::Send(id, job) => {
                let (runner, watcher) = (self.runner.clone(), self.watcher.clone());
                self.spawn(boxed(async move {
                    // The receiver is gone only if the conversation is over.
                    let mut watch = |event: &scheduler::Event| drop(watcher.send(event.clone()));
                    Input::Outcome(id, run_watched(&runner, *job, &mut watch).await)
                }));
            }
            Effect::Wait(id, until) => self.spawn(boxed(async move {
                tokio::time::sleep(until.since(SystemClock::now())).await;
                Input::Waited(id)
            })),
            _ => {}
        }
    }

    fn spawn(&mut self, task: BoxFuture<'static, Input>) {
        self.running.spawn(task);
    }

    /// Waits for the first effect that ends, and for requests that wait meanwhile.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        while let Poll::Ready(Some(event)) = self.job_events.poll_recv(cx) {
            if let scheduler::Event::Waiting { until, reason, .. } = event {
                return Poll::Ready(Next::Waiting(until, reason));
            }
        }
        match self.running.poll_join_next(cx) {
            Poll::Ready(Some(Ok(input))) => Poll::Ready(Next::Input(input)),
            Poll::Ready(Some(Err(panicked))) => std::panic::resume_unwind(panicked.into_panic()),
            _ => Poll::Pending,
        }
    }
}

/// Runs a job to its end and passes its events to `watch`. Dropping the future cancels the job.
pub(crate) async fn run_watched(
    runner: &Runner,
    job: Job,
    watch: &mut (dyn FnMut(&scheduler::Event) + Send),
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

/// The events of a job on their way to a function that need not be [`Send`].
#[derive(Clone, Default)]
pub(crate) struct EventQueue(Arc<Mutex<Vec<scheduler::Event>>>);

impl EventQueue {
    pub(crate) fn push(&self, event: &scheduler::Event) {
        self.lock().push(event.clone());
    }

    fn take(&self) -> Vec<scheduler::Event> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<scheduler::Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes a future that pushes events, and passes each to `watch` at once.
    pub(crate) async fn watched<T>(
        self,
        mut future: BoxFuture<'_, T>,
        mut watch: impl FnMut(&scheduler::Event),
    ) -> T {
        poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            self.take().iter().for_each(&mut watch);
            polled
        })
        .await
    }
}
