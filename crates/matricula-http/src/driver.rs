//! Steps one scheduler for all who hand in jobs: sends what it says, wakes it when it says so.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use matricula_job::{
    Answer, Auth, Cx, EffectId, Job, Machine, Processed, Scheduler, Step, Timestamp,
    TransportError, TransportKind,
    scheduler::{Effect, Event, Input, Refusal, Ticket},
};
use tokio::{
    runtime,
    sync::{Notify, broadcast, mpsc, oneshot},
    task::AbortHandle,
};

use crate::{Credentials, SystemEntropy, now, wire::Wire};

/// Events that a slow listener may be behind before it misses some, and is told so.
const MOST_BEHIND: usize = 256;

/// What all clones of a runner share.
#[derive(Debug)]
pub(crate) struct Driver {
    wire: Wire,
    credentials: Credentials,
    core: Mutex<Core>,
    /// Told whenever an answer has come.
    answered: Notify,
}

#[derive(Debug)]
struct Core {
    scheduler: Scheduler,
    watchers: HashMap<Ticket, mpsc::UnboundedSender<Event>>,
    listeners: Option<broadcast::Sender<Event>>,
    /// Dropped, the request is given up.
    on_the_wire: HashMap<EffectId, oneshot::Sender<()>>,
    /// What could not be sent, since no runtime was there to send it on.
    unsent: Vec<(EffectId, Arc<Job>)>,
    timer: Option<(Timestamp, AbortHandle)>,
    wake_at: Option<Timestamp>,
}

impl Driver {
    pub(crate) fn new(wire: Wire, credentials: Credentials, scheduler: Scheduler) -> Arc<Self> {
        Arc::new(Self {
            wire,
            credentials,
            core: Mutex::new(Core {
                scheduler,
                watchers: HashMap::new(),
                listeners: None,
                on_the_wire: HashMap::new(),
                unsent: Vec::new(),
                timer: None,
                wake_at: None,
            }),
            answered: Notify::new(),
        })
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub(crate) fn snapshot(&self) -> Scheduler {
        self.lock().scheduler.clone()
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        let mut core = self.lock();
        let listeners = core
            .listeners
            .get_or_insert_with(|| broadcast::Sender::new(MOST_BEHIND));
        listeners.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands in a job; what happens to it comes through the channel, its end last.
    pub(crate) fn submit(
        self: &Arc<Self>,
        job: Job,
    ) -> Result<(Ticket, mpsc::UnboundedReceiver<Event>), Refusal> {
        let (tell, told) = mpsc::unbounded_channel();
        let step = self.lock().submit(job, tell);
        let ticket = step.events.iter().find_map(|event| match event {
            Event::Accepted(ticket) => Some(Ok(*ticket)),
            Event::Refused(refusal) => Some(Err(*refusal)),
            _ => None,
        });
        self.carry_out(step.effects);
        // A submitted job is accepted or refused.
        let full = Refusal::Full { most: 0 };
        ticket.unwrap_or(Err(full)).map(|ticket| (ticket, told))
    }

    /// Takes an input, and carries out what follows from it.
    pub(crate) fn input(self: &Arc<Self>, input: Input) {
        let effects = self.lock().step(input);
        self.carry_out(effects);
    }

    fn carry_out(self: &Arc<Self>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(id, job) => self.lock().unsent.push((id, job)),
                Effect::CallBack(id) => drop(self.lock().on_the_wire.remove(&id)),
                _ => {}
            }
        }
        // Without a runtime it waits for the next one that comes along.
        if let Ok(runtime) = runtime::Handle::try_current() {
            self.send_on(&runtime);
            self.set_timer(&runtime);
        }
    }

    fn send_on(self: &Arc<Self>, runtime: &runtime::Handle) {
        let unsent = std::mem::take(&mut self.lock().unsent);
        for (id, job) in unsent {
            let (give_up, given_up) = oneshot::channel();
            self.lock().on_the_wire.insert(id, give_up);
            let sending = Sending {
                driver: Arc::clone(self),
                id,
                is_over: false,
            };
            // Not with the lock held: a runtime that ends drops what it is given.
            runtime.spawn(sending.run(job, given_up));
        }
    }

    fn set_timer(self: &Arc<Self>, runtime: &runtime::Handle) {
        let mut core = self.lock();
        let wanted = core.wake_at;
        if core.timer.as_ref().map(|(at, _)| *at) == wanted {
            return;
        }
        let old = core.timer.take();
        drop(core);
        if let Some((_, old)) = old {
            old.abort();
        }
        let Some(at) = wanted else { return };
        let driver = Arc::clone(self);
        let task = runtime.spawn(async move {
            tokio::time::sleep(at.since(now())).await;
            driver.lock().timer = None;
            driver.input(Input::Wake);
        });
        self.lock().timer = Some((at, task.abort_handle()));
    }

    /// Waits until nothing is on the wire any more.
    pub(crate) async fn quiet(&self) {
        loop {
            let answered = self.answered.notified();
            if self.lock().on_the_wire.is_empty() {
                return;
            }
            answered.await;
        }
    }

    async fn send(&self, job: &Job) -> Answer {
        let token = match job.auth() {
            Auth::Token(token) => Some(token.clone()),
            Auth::Optional(credential) => self.credentials.token_for(credential, job.url()),
            Auth::Required(credential) => match self.credentials.token_for(credential, job.url()) {
                Some(token) => Some(token),
                None => {
                    return Answer::Failed(TransportError {
                        kind: TransportKind::Request,
                        processed: Processed::No,
                        message: format!(
                            "no token for {} towards {}: sign in first",
                            credential.as_str(),
                            job.masked_url()
                        ),
                    });
                }
            },
            _ => None,
        };
        self.wire.send(job, token).await
    }
}

impl Core {
    fn submit(&mut self, job: Job, tell: mpsc::UnboundedSender<Event>) -> Step<Effect, Event> {
        let input = Input::Submit(Arc::new(job));
        let step = self
            .scheduler
            .step(&mut Cx::new(now(), &mut SystemEntropy), input);
        if let Some(Event::Accepted(ticket)) = step.events.first() {
            self.watchers.insert(*ticket, tell);
        }
        self.wake_at = step.wake_at;
        self.tell(&step.events);
        step
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let step = self
            .scheduler
            .step(&mut Cx::new(now(), &mut SystemEntropy), input);
        self.wake_at = step.wake_at;
        self.tell(&step.events);
        step.effects
    }

    fn tell(&mut self, events: &[Event]) {
        for event in events {
            if let Some(ticket) = event.ticket() {
                if let Some(watcher) = self.watchers.get(&ticket) {
                    // Nobody listens any more: the job goes on all the same.
                    let _ = watcher.send(event.clone());
                }
                if matches!(event, Event::Finished(..)) {
                    self.watchers.remove(&ticket);
                }
            }
            if let Some(listeners) = &self.listeners {
                let _ = listeners.send(event.clone());
            }
        }
    }
}

/// One request on its way. Whatever becomes of it, it is answered once.
struct Sending {
    driver: Arc<Driver>,
    id: EffectId,
    is_over: bool,
}

impl Sending {
    async fn run(mut self, job: Arc<Job>, given_up: oneshot::Receiver<()>) {
        let answer = tokio::select! {
            answer = self.driver.send(&job) => answer,
            // Called back: it needs no answer.
            _ = given_up => {
                self.is_over = true;
                self.driver.answered.notify_waiters();
                return;
            }
        };
        self.is_over = true;
        self.driver.lock().on_the_wire.remove(&self.id);
        self.driver.input(Input::Answer(self.id, answer));
        self.driver.answered.notify_waiters();
    }
}

impl Drop for Sending {
    /// The runtime ended in the middle of it.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let answer = Answer::Failed(TransportError {
            kind: TransportKind::Cut,
            processed: Processed::Maybe,
            message: "the runtime ended before the answer came".to_owned(),
        });
        let mut core = self.driver.lock();
        core.on_the_wire.remove(&self.id);
        let effects = core.step(Input::Answer(self.id, answer));
        // Nothing more is sent on a runtime that ends.
        for effect in effects {
            if let Effect::Send(id, job) = effect {
                core.unsent.push((id, job));
            }
        }
        core.timer = None;
        drop(core);
        self.driver.answered.notify_waiters();
    }
}

/// How long is waited for what is on the wire when a runner is told to stop.
pub(crate) const LONGEST_QUIET: Duration = Duration::from_secs(60);
