//! Hands mail to an SMTP server on this machine or beside it.
//!
//! It speaks the five commands that this takes, to a server that asks for neither encryption nor a
//! password: mail libraries bring both, and much else.

use std::{
    io,
    sync::{Arc, mpsc},
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::{Notify, oneshot},
    time::{sleep, timeout},
};

use crate::{Mail, QueuedMail, keeper::Command};

/// How long a mail may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// After how long a mail that was not taken is tried again; after the last it is given up.
const RETRY_DELAYS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
/// The longest answer that is read, in bytes.
const MAX_RESPONSE: u64 = 64 * 1024;

/// Sends what waits whenever it is woken, one after the other.
pub(crate) async fn run(messages: Mail, keeper: mpsc::Sender<Command>, wake: Arc<Notify>) {
    loop {
        while let Some(message) = next(&keeper).await {
            send_with_retries(&messages, &message).await;
            if keeper.send(Command::RemoveMail(message.id)).is_err() {
                return;
            }
        }
        wake.notified().await;
    }
}

async fn next(keeper: &mpsc::Sender<Command>) -> Option<QueuedMail> {
    let (answer, answered) = oneshot::channel();
    keeper.send(Command::NextMail(answer)).ok()?;
    answered.await.ok()?
}

async fn send_with_retries(messages: &Mail, message: &QueuedMail) {
    for pause in RETRY_DELAYS.map(Some).into_iter().chain([None]) {
        let sent = timeout(TIMEOUT, send(messages, message)).await;
        match (sent.unwrap_or_else(|_| Err(timed_out())), pause) {
            (Ok(()), _) => return,
            // Whom it is to is nobody's business here.
            (Err(error), None) => tracing::warn!(%error, "a mail could not be sent: given up"),
            (Err(error), Some(pause)) => {
                tracing::warn!(%error, "a mail could not be sent yet");
                sleep(pause).await;
            }
        }
    }
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the SMTP server took too long")
}

async fn send(messages: &Mail, message: &QueuedMail) -> io::Result<()> {
    let stream = TcpStream::connect(&messages.smtp).await?;
    let mut talk = SmtpConnection(BufReader::new(stream));
    talk.expect_code("220").await?;
    talk.command("EHLO localhost", "250").await?;
    let from = format!("MAIL FROM:<{}>", messages.from);
    talk.command(&from, "250").await?;
    let to = format!("RCPT TO:<{}>", message.recipient);
    talk.command(&to, "25").await?;
    talk.command("DATA", "354").await?;
    let text = format_mail(messages, message, SystemTime::now());
    talk.command(&text, "250").await?;
    // It is sent; how the server says goodbye does not matter.
    let _ = talk.command("QUIT", "221").await;
    Ok(())
}

struct SmtpConnection(BufReader<TcpStream>);

impl SmtpConnection {
    async fn command(&mut self, line: &str, expected: &str) -> io::Result<()> {
        let line = format!("{line}\r\n");
        self.0.get_mut().write_all(line.as_bytes()).await?;
        self.expect_code(expected).await
    }

    /// Reads an answer of one line or more, all but the last of which have a hyphen after the code.
    async fn expect_code(&mut self, expected: &str) -> io::Result<()> {
        let mut bounded = (&mut self.0).take(MAX_RESPONSE);
        loop {
            let mut line = Vec::new();
            if bounded.read_until(b'\n', &mut line).await? == 0 {
                let error = "the SMTP server closed the connection";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
            }
            if line.get(3) == Some(&b'-') {
                continue;
            }
            if line.starts_with(expected.as_bytes()) {
                return Ok(());
            }
            let code = String::from_utf8_lossy(line.get(..3).unwrap_or(&line)).into_owned();
            let error = format!("the SMTP server answered {code:?} instead of {expected}");
            return Err(io::Error::other(error));
        }
    }
}

/// The mail with the dot on a line of its own that ends it.
fn format_mail(messages: &Mail, message: &QueuedMail, now: SystemTime) -> String {
    let mut text = format!(
        "From: <{}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: {}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nAuto-Submitted: auto-generated\r\n\r\n",
        messages.from,
        message.recipient,
        message.subject,
        httpdate::fmt_http_date(now),
    );
    for line in message.body.expose().lines() {
        if line.starts_with('.') {
            text.push('.');
        }
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push('.');
    text
}
