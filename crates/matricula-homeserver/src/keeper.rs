//! The thread that owns the database.

use std::{sync::mpsc, thread};

use matricula_core::{Entropy, StepContext};
use tokio::sync::{oneshot, watch};

use crate::{
    Database, DelegationCall, Error, HandlerResponse, Homeserver, QueuedMail, Request,
    media::TempFile, shell::Clock,
};

/// What those look at who wait for something to happen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes {
    /// The position of the newest event.
    newest_event: i64,
    pub(crate) is_stopping: bool,
}

/// The thread that owns the database and answers one request after the other.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) commands: mpsc::Sender<Command>,
    thread: Option<thread::JoinHandle<()>>,
}

pub(crate) enum Command {
    /// To answer, to keep the file if the answer is that it is kept, and to say whether something is to
    /// be delivered first.
    Handle(
        Box<Request>,
        Option<TempFile>,
        oneshot::Sender<(HandlerResponse, bool)>,
    ),
    NextDelegationCall(oneshot::Sender<Option<DelegationCall>>),
    NextMail(oneshot::Sender<Option<QueuedMail>>),
    RemoveMail(i64),
    RemoveDelegationCall(i64),
    Stop,
}

impl Worker {
    pub(crate) fn start(
        homeserver: Homeserver,
        mut database: Database,
        clock: Clock,
        news: watch::Sender<Changes>,
    ) -> Result<Self, Error> {
        let (work, orders) = mpsc::channel();
        let delegates = homeserver.delegation().is_some();
        let run = move || {
            while let Ok(order) = orders.recv() {
                match order {
                    Command::Handle(request, draft, asker) => {
                        let newest = |database: &Database| match delegates {
                            true => log_error(database.newest_delegation_call()).flatten(),
                            false => None,
                        };
                        let before = newest(&database);
                        let mut entropy = SystemEntropy;
                        let mut cx = StepContext::new(clock(), &mut entropy);
                        let answer = database.handle(&homeserver, &mut cx, *request);
                        if let (Some(draft), 200) = (draft, answer.reply.status) {
                            draft.commit();
                            // Whoever waits for it is to look.
                            news.send_modify(|_| {});
                        }
                        if let Some(newest) = log_error(database.newest_event()) {
                            news.send_if_modified(|news| {
                                std::mem::replace(&mut news.newest_event, newest) != newest
                            });
                        }
                        // Whoever asked may have gone away.
                        let _ = asker.send((answer, newest(&database) > before));
                    }
                    Command::NextDelegationCall(answer) => {
                        // Without an answer the delivery fails.
                        if let Some(provision) = log_error(database.next_delegation_call()) {
                            let _ = answer.send(provision);
                        }
                    }
                    Command::RemoveDelegationCall(id) => {
                        log_error(database.remove_delegation_call(id));
                    }
                    Command::NextMail(answer) => {
                        if let Some(message) = log_error(database.next_mail(clock())) {
                            let _ = answer.send(message);
                        }
                    }
                    Command::RemoveMail(id) => {
                        log_error(database.remove_mail(id));
                    }
                    Command::Stop => break,
                }
            }
        };
        let builder = thread::Builder::new().name("matricula-homeserver".to_owned());
        let thread = Some(builder.spawn(run).map_err(Error::Thread)?);
        Ok(Self {
            commands: work,
            thread,
        })
    }

    /// Returns once the database is closed.
    pub(crate) fn stop(&mut self) {
        // An error says that the thread has ended already.
        let _ = self.commands.send(Command::Stop);
        if let Some(Err(_)) = self.thread.take().map(thread::JoinHandle::join) {
            tracing::error!("the homeserver's thread panicked");
        }
    }
}

fn log_error<T>(result: Result<T, Error>) -> Option<T> {
    result
        .inspect_err(|error| tracing::error!(%error, "a delivery cannot be kept"))
        .ok()
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// Panics where the system has no randomness to give: no token made without it would be safe.
    #[allow(clippy::expect_used)]
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system gives random bytes");
    }
}
