//! Pushes events to application services.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use http::{Method, StatusCode};
use matricula_core::{Secret, ServerUrl};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep, timeout},
};

use super::{outgoing, worker::Command};
use crate::{
    CalledService, ServiceTransaction,
    engine::{CallResult, ServiceCall},
};

/// The timeout of a transaction.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The delay before a transaction is sent again, doubled each time up to the longest one.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// Where a service listens.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) url: ServerUrl,
    pub(crate) token: Secret,
}

/// The timeout of a call that a request waits for.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Calls a service for a request.
pub(crate) async fn call(targets: &[Target], call: &ServiceCall) -> CalledService {
    let start = Instant::now();
    let result = match targets.iter().find(|target| target.id == call.service) {
        None => CallResult::Failed("it has no URL".to_owned()),
        Some(target) => {
            let method = match call.method {
                matricula_core::Method::Get => Method::GET,
                _ => Method::POST,
            };
            let body = call.body.clone();
            let sent = outgoing::send(&target.url, method, &call.path, &target.token, body);
            match timeout(CALL_TIMEOUT, sent).await {
                Ok(Ok(status)) => CallResult::Responded(status.as_u16()),
                Ok(Err(error)) => CallResult::Failed(error),
                Err(_) => CallResult::TimedOut,
            }
        }
    };
    let duration = start.elapsed();
    CalledService { result, duration }
}

/// Sends all transactions of a service, one at a time, whenever it is woken.
pub(crate) async fn run(target: Target, commands: mpsc::Sender<Command>, wake: Arc<Notify>) {
    loop {
        while let Some(transaction) = next(&commands, &target.id).await {
            send_until_accepted(&target, &transaction).await;
            let sent = commands.send(Command::RemoveServiceTransaction(transaction));
            if sent.is_err() {
                return;
            }
        }
        wake.notified().await;
    }
}

async fn next(commands: &mpsc::Sender<Command>, id: &str) -> Option<ServiceTransaction> {
    let (sender, receiver) = oneshot::channel();
    let command = Command::NextServiceTransaction(id.to_owned(), sender);
    commands.send(command).ok()?;
    receiver.await.ok()?
}

async fn send_until_accepted(target: &Target, transaction: &ServiceTransaction) {
    let mut delay = FIRST_DELAY;
    loop {
        let sent = timeout(TIMEOUT, send(target, transaction)).await;
        let error = match sent.unwrap_or_else(|_| Err("it timed out".to_owned())) {
            Ok(status) if status.is_success() => return,
            Ok(status) => format!("it responded with {status}"),
            Err(error) => error,
        };
        tracing::warn!(service = target.id, %error, "an application service did not take a transaction");
        sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

async fn send(target: &Target, transaction: &ServiceTransaction) -> Result<StatusCode, String> {
    let mut status = StatusCode::NOT_FOUND;
    // The second path is the one that older services have.
    for prefix in ["/_matrix/app/v1", ""] {
        let path = format!("{prefix}/transactions/{}", percent_encode(&transaction.id));
        let body = transaction.body.clone();
        status = outgoing::send(&target.url, Method::PUT, &path, &target.token, body).await?;
        if !matches!(
            status,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
        ) {
            break;
        }
    }
    Ok(status)
}

fn percent_encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
