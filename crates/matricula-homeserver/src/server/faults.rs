//! Faults that a test of clients wants: of the transport, and of what the server knows.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use tokio::sync::oneshot;

use super::worker::Command;
use crate::FaultyEvent;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection ends before the request is processed.
    LoseRequest,
    /// The request is processed, and the connection ends before the response.
    LoseResponse,
    /// The request is not processed, and the client is asked to wait so long: 429.
    RateLimit(Duration),
    /// The request is not processed, and the server says that it failed: 500.
    Fail,
    /// The sync token or page token of the request is not accepted: 400.
    RejectToken,
}

/// Causes faults in a running [`Server`](crate::Server), for tests of clients. It is an interface of the
/// library alone: nothing of it can be reached over HTTP.
#[derive(Clone, Debug)]
pub struct Faults {
    planned: Planned,
    commands: mpsc::Sender<Command>,
}

/// The faults that are to happen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planned(Arc<Mutex<VecDeque<(String, Fault)>>>);

impl Planned {
    /// The fault of a request for this path, if one is planned.
    pub(crate) fn take(&self, path: &str) -> Option<Fault> {
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = planned.iter().position(|(part, _)| path.contains(part))?;
        planned.remove(at).map(|(_, fault)| fault)
    }
}

impl Faults {
    pub(crate) fn new(planned: Planned, commands: mpsc::Sender<Command>) -> Self {
        Self { planned, commands }
    }

    /// Plans a fault of the next request whose path has this part, such as `/sync`. Faults of the same
    /// requests happen in the order in which they were planned.
    pub fn plan(&self, path: impl Into<String>, fault: Fault) {
        let mut planned = self
            .planned
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        planned.push_back((path.into(), fault));
    }

    /// The number of planned faults that have not happened yet.
    pub fn planned(&self) -> usize {
        let planned = self.planned.0.lock();
        planned.unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Appends an event that is late, or a hole. Returns its id; none if the server has stopped, or its
    /// rules forbid the event.
    pub async fn append_event(&self, event: FaultyEvent) -> Option<String> {
        let (respond, response) = oneshot::channel();
        let command = Command::AppendFaulty(Box::new(event), respond);
        self.commands.send(command).ok()?;
        response.await.ok()?
    }

    /// Makes the server forget all transaction ids: a request that is repeated has its effect again.
    pub async fn forget_transactions(&self) {
        let (respond, response) = oneshot::channel();
        if self
            .commands
            .send(Command::ForgetTransactions(respond))
            .is_ok()
        {
            let _ = response.await;
        }
    }
}
