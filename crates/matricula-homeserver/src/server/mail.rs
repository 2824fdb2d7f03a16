//! Sends mail through an SMTP server.
//!
//! A minimal client without encryption and authentication: a mail library would bring both, and many
//! dependencies.

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

use super::worker::Command;
use crate::{Mail, QueuedMail};

/// The timeout of a mail.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The delays before a mail is sent again; after the last one it is dropped.
const RETRY_DELAYS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
/// The longest response of the SMTP server, in bytes.
const MAX_RESPONSE: u64 = 64 * 1024;

/// Sends all queued mail, one at a time, whenever it is woken.
pub(crate) async fn run(config: Mail, commands: mpsc::Sender<Command>, wake: Arc<Notify>) {
    loop {
        while let Some(mail) = next(&commands).await {
            send_with_retries(&config, &mail).await;
            if commands.send(Command::RemoveMail(mail.id)).is_err() {
                return;
            }
        }
        wake.notified().await;
    }
}

async fn next(commands: &mpsc::Sender<Command>) -> Option<QueuedMail> {
    let (sender, receiver) = oneshot::channel();
    commands.send(Command::NextMail(sender)).ok()?;
    receiver.await.ok()?
}

async fn send_with_retries(config: &Mail, mail: &QueuedMail) {
    for pause in RETRY_DELAYS.map(Some).into_iter().chain([None]) {
        let sent = timeout(TIMEOUT, send(config, mail)).await;
        match (sent.unwrap_or_else(|_| Err(timed_out())), pause) {
            (Ok(()), _) => return,
            // The log must not contain the recipient.
            (Err(error), None) => {
                tracing::warn!(%error, "a mail could not be sent and was dropped")
            }
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

async fn send(config: &Mail, mail: &QueuedMail) -> io::Result<()> {
    let stream = TcpStream::connect(&config.smtp).await?;
    let mut connection = SmtpConnection(BufReader::new(stream));
    connection.expect_code("220").await?;
    connection.command("EHLO localhost", "250").await?;
    let from = format!("MAIL FROM:<{}>", config.from);
    connection.command(&from, "250").await?;
    let to = format!("RCPT TO:<{}>", mail.recipient);
    connection.command(&to, "25").await?;
    connection.command("DATA", "354").await?;
    let text = format_mail(config, mail, SystemTime::now());
    connection.command(&text, "250").await?;
    // The mail is sent: the response to QUIT does not matter.
    let _ = connection.command("QUIT", "221").await;
    Ok(())
}

struct SmtpConnection(BufReader<TcpStream>);

impl SmtpConnection {
    async fn command(&mut self, line: &str, expected: &str) -> io::Result<()> {
        let line = format!("{line}\r\n");
        self.0.get_mut().write_all(line.as_bytes()).await?;
        self.expect_code(expected).await
    }

    /// Reads a response. All lines but the last have a hyphen after the code.
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
            let error = format!("the SMTP server responded with {code:?} instead of {expected}");
            return Err(io::Error::other(error));
        }
    }
}

/// The mail with headers, dot-stuffing and the final dot.
fn format_mail(config: &Mail, mail: &QueuedMail, now: SystemTime) -> String {
    let mut text = format!(
        "From: <{}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: {}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nAuto-Submitted: auto-generated\r\n\r\n",
        config.from,
        mail.recipient,
        mail.subject,
        httpdate::fmt_http_date(now),
    );
    for line in mail.body.expose().lines() {
        if line.starts_with('.') {
            text.push('.');
        }
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push('.');
    text
}
