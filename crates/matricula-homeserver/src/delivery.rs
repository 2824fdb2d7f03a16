//! Tells the homeserver that delegates to this one which users and devices there are.

use std::{sync::mpsc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use hyper_util::rt::TokioIo;
use matricula_core::ServerUrl;
use tokio::{
    net::TcpStream,
    sync::{Mutex, oneshot},
    time::timeout,
};

use crate::{Delegation, DelegationCall, keeper::Command};

/// How long the homeserver may take over one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Delivers in order, one after the other.
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

    /// Delivers all that waits. What fails, waits on, and so does all that comes after it.
    pub(crate) async fn flush(&self, keeper: &mpsc::Sender<Command>) -> Result<(), String> {
        let _turn = self.lock.lock().await;
        while let Some(provision) = next(keeper).await? {
            let sent = timeout(TIMEOUT, self.send(&provision)).await;
            let status = sent.map_err(|_| "it took too long".to_owned())??;
            // A device or user that it does not know cannot be taken away again: so much is true.
            let is_gone = status == StatusCode::NOT_FOUND && provision.is_removal();
            if !status.is_success() && !is_gone {
                return Err(format!("it answered {status} to {}", provision.path));
            }
            keeper
                .send(Command::RemoveDelegationCall(provision.id))
                .map_err(|_| stopping())?;
        }
        Ok(())
    }

    async fn send(&self, provision: &DelegationCall) -> Result<StatusCode, String> {
        let authority = authority(&self.to.homeserver);
        let stream = TcpStream::connect(authority).await.map_err(to_text)?;
        let http = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = http.map_err(to_text)?;
        // It ends once the sender is gone and the answer is read.
        tokio::spawn(connection);
        let token = self.to.secret.expose();
        let request = Request::post(&provision.path)
            .header(header::HOST, authority)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(provision.body.clone()))
            .map_err(to_text)?;
        let response = sender.send_request(request).await.map_err(to_text)?;
        Ok(response.status())
    }
}

async fn next(keeper: &mpsc::Sender<Command>) -> Result<Option<DelegationCall>, String> {
    let (answer, answered) = oneshot::channel();
    let asked = keeper.send(Command::NextDelegationCall(answer));
    asked.map_err(|_| stopping())?;
    answered.await.map_err(|_| stopping())
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
