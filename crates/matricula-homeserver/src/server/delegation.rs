//! Sends calling calls to the homeserver that delegates to this one.

use std::{sync::mpsc, time::Duration};

use http::{Method, StatusCode};
use tokio::{
    sync::{Mutex, oneshot},
    time::timeout,
};

use super::{outgoing, worker::Command};
use crate::{Delegation, DelegationCall};

/// The timeout of a call.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends calls in order, one at a time.
#[derive(Debug)]
pub(crate) struct DelegationClient {
    to: Delegation,
    lock: Mutex<()>,
}

impl DelegationClient {
    pub(crate) fn new(to: Delegation) -> Self {
        let lock = Mutex::new(());
        Self { to, lock }
    }

    /// Sends all queued calls. A call that fails stays queued, with those after it.
    pub(crate) async fn flush(&self, commands: &mpsc::Sender<Command>) -> Result<(), String> {
        let _lock = self.lock.lock().await;
        while let Some(call) = next(commands).await? {
            let sent = timeout(TIMEOUT, self.send(&call)).await;
            let status = sent.map_err(|_| "the call timed out".to_owned())??;
            // Deleting what does not exist is a success.
            let is_gone = status == StatusCode::NOT_FOUND && call.is_removal();
            if !status.is_success() && !is_gone {
                return Err(format!("it responded with {status} to {}", call.path));
            }
            commands
                .send(Command::RemoveDelegationCall(call.id))
                .map_err(|_| stopping())?;
        }
        Ok(())
    }

    async fn send(&self, call: &DelegationCall) -> Result<StatusCode, String> {
        let Delegation {
            homeserver, secret, ..
        } = &self.to;
        outgoing::send(
            homeserver,
            Method::POST,
            &call.path,
            secret,
            call.body.clone(),
        )
        .await
    }
}

async fn next(commands: &mpsc::Sender<Command>) -> Result<Option<DelegationCall>, String> {
    let (sender, receiver) = oneshot::channel();
    let sent = commands.send(Command::NextDelegationCall(sender));
    sent.map_err(|_| stopping())?;
    receiver.await.map_err(|_| stopping())
}

fn stopping() -> String {
    "this server is stopping".to_owned()
}
