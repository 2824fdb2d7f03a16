//! The thread that owns the database.

use std::{sync::mpsc, thread};

use matricula_core::{Entropy, StepContext};
use tokio::sync::{oneshot, watch};

use crate::{
    Database, DelegationCall, Error, HandlerResponse, Homeserver, Message, Request, media::Draft,
    shell::Clock,
};

/// What those look at who wait for something to happen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct News {
    /// The position of the newest event.
    newest: i64,
    pub(crate) is_stopping: bool,
}

/// The thread that owns the database and answers one request after the other.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) work: mpsc::Sender<Order>,
    thread: Option<thread::JoinHandle<()>>,
}

pub(crate) enum Order {
    /// To answer, to keep the file if the answer is that it is kept, and to say whether something is to
    /// be delivered first.
    Answer(
        Box<Request>,
        Option<Draft>,
        oneshot::Sender<(HandlerResponse, bool)>,
    ),
    NextProvision(oneshot::Sender<Option<DelegationCall>>),
    NextMessage(oneshot::Sender<Option<Message>>),
    Sent(i64),
    Delivered(i64),
    Stop,
}

impl Keeper {
    pub(crate) fn start(
        homeserver: Homeserver,
        mut database: Database,
        clock: Clock,
        news: watch::Sender<News>,
    ) -> Result<Self, Error> {
        let (work, orders) = mpsc::channel();
        let delegates = homeserver.delegation().is_some();
        let run = move || {
            while let Ok(order) = orders.recv() {
                match order {
                    Order::Answer(request, draft, asker) => {
                        let newest = |database: &Database| match delegates {
                            true => kept(database.newest_provision()).flatten(),
                            false => None,
                        };
                        let before = newest(&database);
                        let mut entropy = SystemEntropy;
                        let mut cx = StepContext::new(clock(), &mut entropy);
                        let answer = database.answer(&homeserver, &mut cx, *request);
                        if let (Some(draft), 200) = (draft, answer.reply.status) {
                            draft.keep();
                            // Whoever waits for it is to look.
                            news.send_modify(|_| {});
                        }
                        if let Some(newest) = kept(database.newest_event()) {
                            news.send_if_modified(|news| {
                                std::mem::replace(&mut news.newest, newest) != newest
                            });
                        }
                        // Whoever asked may have gone away.
                        let _ = asker.send((answer, newest(&database) > before));
                    }
                    Order::NextProvision(answer) => {
                        // Without an answer the delivery fails.
                        if let Some(provision) = kept(database.next_provision()) {
                            let _ = answer.send(provision);
                        }
                    }
                    Order::Delivered(id) => {
                        kept(database.delivered(id));
                    }
                    Order::NextMessage(answer) => {
                        if let Some(message) = kept(database.next_message(clock())) {
                            let _ = answer.send(message);
                        }
                    }
                    Order::Sent(id) => {
                        kept(database.sent(id));
                    }
                    Order::Stop => break,
                }
            }
        };
        let builder = thread::Builder::new().name("matricula-homeserver".to_owned());
        let thread = Some(builder.spawn(run).map_err(Error::Thread)?);
        Ok(Self { work, thread })
    }

    /// Returns once the database is closed.
    pub(crate) fn stop(&mut self) {
        // An error says that the thread has ended already.
        let _ = self.work.send(Order::Stop);
        if let Some(Err(_)) = self.thread.take().map(thread::JoinHandle::join) {
            tracing::error!("the homeserver's thread panicked");
        }
    }
}

fn kept<T>(result: Result<T, Error>) -> Option<T> {
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
