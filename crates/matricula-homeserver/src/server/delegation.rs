//! Sends calling calls to the homeserver that delegates to this one.

use std::{sync::mpsc, time::Duration};

use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use matricula_core::ServerUrl;
use tokio::{
    net::TcpStream,
    sync::{Mutex, oneshot},
    time::timeout,
};

use super::{body::Body, worker::Command};
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
        let authority = authority(&self.to.homeserver);
        let stream = TcpStream::connect(authority).await.map_err(to_text)?;
        let http = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = http.map_err(to_text)?;
        // The task ends once the sender is dropped and the response is read.
        tokio::spawn(connection);
        let token = self.to.secret.expose();
        let request = Request::post(&call.path)
            .header(header::HOST, authority)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(call.body.clone().into_bytes()))
            .map_err(to_text)?;
        let response = sender.send_request(request).await.map_err(to_text)?;
        Ok(response.status())
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

fn to_text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Host and port; [`Delegation`] is checked to be plain HTTP.
fn authority(url: &ServerUrl) -> &str {
    let origin = url.origin();
    origin.strip_prefix("http://").unwrap_or(origin)
}
