//! The worker thread that owns the database.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use matricula_core::{Entropy, StepContext, Timestamp};
use tokio::sync::oneshot;

use super::media::TempFile;
use crate::{
    Database, DelegationCall, Error, FaultyEvent, HandlerResponse, Homeserver, QueuedMail, Request,
    ServiceTransaction,
    engine::{Awaited, Wait},
};

/// Returns the current time.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The thread that owns the database and handles one request at a time.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) commands: mpsc::Sender<Command>,
    thread: Option<thread::JoinHandle<()>>,
}

/// A command to the worker.
pub(crate) enum Command {
    /// Handles a request.
    Handle(Box<PendingRequest>),
    NextDelegationCall(oneshot::Sender<Option<DelegationCall>>),
    RemoveDelegationCall(i64),
    /// The next transaction of the application service with this id.
    NextServiceTransaction(String, oneshot::Sender<Option<ServiceTransaction>>),
    RemoveServiceTransaction(ServiceTransaction),
    /// Appends an event as a test of clients wants it, and returns its id.
    AppendFaulty(Box<FaultyEvent>, oneshot::Sender<Option<String>>),
    ForgetTransactions(oneshot::Sender<()>),
    NextMail(oneshot::Sender<Option<QueuedMail>>),
    RemoveMail(i64),
    Stop,
}

/// A request that the worker is to handle.
pub(crate) struct PendingRequest {
    pub(crate) request: Request,
    /// The received body. It becomes permanent if the request succeeds.
    pub(crate) received: Option<TempFile>,
    /// Whether the request waits where there is nothing to respond yet.
    pub(crate) may_wait: bool,
    pub(crate) respond: oneshot::Sender<Handled>,
}

/// What became of a request.
pub(crate) struct Handled {
    pub(crate) response: HandlerResponse,
    /// Whether it has queued delegation calls.
    pub(crate) has_calls: bool,
    /// When the request should be handled again; none where the response is to be sent.
    pub(crate) wait: Option<PendingWait>,
}

/// The wait of a request, until it is handled again.
pub(crate) struct PendingWait {
    /// Ends at a change.
    pub(crate) change: oneshot::Receiver<()>,
    /// How long the request waits for a change at most.
    pub(crate) at_most: Option<Duration>,
}

impl Worker {
    /// Starts the thread.
    pub(crate) fn start(
        homeserver: Homeserver,
        database: Database,
        clock: Clock,
    ) -> Result<Self, Error> {
        let (commands, receiver) = mpsc::channel();
        let mut state = State {
            homeserver,
            database,
            clock,
            waiting: HashMap::new(),
        };
        let run = move || {
            while let Ok(command) = receiver.recv() {
                if matches!(command, Command::Stop) {
                    break;
                }
                state.execute(command);
            }
        };
        let builder = thread::Builder::new().name("matricula-homeserver".to_owned());
        let thread = Some(builder.spawn(run).map_err(Error::Thread)?);
        Ok(Self { commands, thread })
    }

    /// Returns once the database is closed.
    pub(crate) fn stop(&mut self) {
        // An error means that the thread has ended already.
        let _ = self.commands.send(Command::Stop);
        if let Some(Err(_)) = self.thread.take().map(thread::JoinHandle::join) {
            tracing::error!("the homeserver's thread panicked");
        }
    }
}

/// What the thread owns.
struct State {
    homeserver: Homeserver,
    database: Database,
    clock: Clock,
    /// The requests that wait. They are added here, by the thread that handles requests, so that no
    /// change falls between the response of a request and its wait.
    waiting: HashMap<Awaited, Vec<oneshot::Sender<()>>>,
}

impl State {
    /// Executes a command. Where a client has gone away, its response is dropped.
    fn execute(&mut self, command: Command) {
        match command {
            Command::Handle(pending) => self.handle(*pending),
            Command::NextDelegationCall(respond) => {
                if let Some(call) = log_error(self.database.next_delegation_call()) {
                    let _ = respond.send(call);
                }
            }
            Command::RemoveDelegationCall(id) => {
                log_error(self.database.remove_delegation_call(id));
            }
            Command::NextServiceTransaction(id, respond) => {
                let next = self
                    .database
                    .next_service_transaction(&self.homeserver, &id);
                if let Some(transaction) = log_error(next) {
                    let _ = respond.send(transaction);
                }
            }
            Command::RemoveServiceTransaction(transaction) => {
                log_error(self.database.remove_service_transaction(&transaction));
            }
            Command::AppendFaulty(event, respond) => {
                let mut entropy = SystemEntropy;
                let mut cx = StepContext::new((self.clock)(), &mut entropy);
                let appended = self
                    .database
                    .append_faulty(&self.homeserver, &mut cx, &event);
                let (id, changed) = appended.unwrap_or_default();
                for change in &changed {
                    self.waiting.remove(change);
                }
                let _ = respond.send(id);
            }
            Command::ForgetTransactions(respond) => {
                log_error(self.database.forget_transactions());
                let _ = respond.send(());
            }
            Command::NextMail(respond) => {
                if let Some(mail) = log_error(self.database.next_mail((self.clock)())) {
                    let _ = respond.send(mail);
                }
            }
            Command::RemoveMail(id) => {
                log_error(self.database.remove_mail(id));
            }
            Command::Stop => {}
        }
    }

    fn handle(&mut self, pending: PendingRequest) {
        let calls_before = self.newest_delegation_call();
        let mut entropy = SystemEntropy;
        let mut cx = StepContext::new((self.clock)(), &mut entropy);
        let request = pending.request;
        let response = self.database.handle(&self.homeserver, &mut cx, request);
        if let (Some(file), 200) = (pending.received, response.reply.status) {
            file.commit();
        }
        for change in &response.changed {
            // Dropping a sender ends the wait of its request.
            self.waiting.remove(change);
        }
        let wait = response.wait.clone().filter(|_| pending.may_wait);
        let handled = Handled {
            has_calls: self.newest_delegation_call() > calls_before,
            wait: wait.map(|wait| self.wait(wait)),
            response,
        };
        let _ = pending.respond.send(handled);
    }

    fn wait(&mut self, wait: Wait) -> PendingWait {
        let (sender, change) = oneshot::channel();
        let waiting = self.waiting.entry(wait.awaited).or_default();
        // Those whose clients have gone away, or whose time has passed.
        waiting.retain(|sender| !sender.is_closed());
        waiting.push(sender);
        PendingWait {
            change,
            at_most: wait.at_most,
        }
    }

    fn newest_delegation_call(&self) -> Option<i64> {
        self.homeserver.config().delegation()?;
        log_error(self.database.newest_delegation_call()).flatten()
    }
}

fn log_error<T>(result: Result<T, Error>) -> Option<T> {
    result
        .inspect_err(|error| tracing::error!(%error, "the homeserver's database failed"))
        .ok()
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// Panics if the system provides no randomness: tokens without it would not be safe.
    #[allow(clippy::expect_used)]
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system provides random bytes");
    }
}
