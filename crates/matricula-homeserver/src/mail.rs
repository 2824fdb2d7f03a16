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

use crate::{Message, Messages, keeper::Order};

/// How long a mail may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// After how long a mail that was not taken is tried again; after the last it is given up.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Sends what waits whenever it is woken, one after the other.
pub(crate) async fn run(messages: Messages, keeper: mpsc::Sender<Order>, wake: Arc<Notify>) {
    loop {
        while let Some(message) = next(&keeper).await {
            send_patiently(&messages, &message).await;
            if keeper.send(Order::Sent(message.id)).is_err() {
                return;
            }
        }
        wake.notified().await;
    }
}

async fn next(keeper: &mpsc::Sender<Order>) -> Option<Message> {
    let (answer, answered) = oneshot::channel();
    keeper.send(Order::NextMessage(answer)).ok()?;
    answered.await.ok()?
}

async fn send_patiently(messages: &Messages, message: &Message) {
    for pause in PAUSES.map(Some).into_iter().chain([None]) {
        let sent = timeout(TIMEOUT, send(messages, message)).await;
        match (sent.unwrap_or_else(|_| Err(took_too_long())), pause) {
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

fn took_too_long() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the SMTP server took too long")
}

async fn send(messages: &Messages, message: &Message) -> io::Result<()> {
    let stream = TcpStream::connect(&messages.smtp).await?;
    let mut talk = Talk(BufReader::new(stream));
    talk.hear("220").await?;
    talk.say("EHLO localhost", "250").await?;
    let from = format!("MAIL FROM:<{}>", messages.from);
    talk.say(&from, "250").await?;
    let to = format!("RCPT TO:<{}>", message.recipient);
    talk.say(&to, "25").await?;
    talk.say("DATA", "354").await?;
    let text = written(messages, message, SystemTime::now());
    talk.say(&text, "250").await?;
    // It is sent; how the server says goodbye does not matter.
    let _ = talk.say("QUIT", "221").await;
    Ok(())
}

struct Talk(BufReader<TcpStream>);

impl Talk {
    async fn say(&mut self, line: &str, expected: &str) -> io::Result<()> {
        let line = format!("{line}\r\n");
        self.0.get_mut().write_all(line.as_bytes()).await?;
        self.hear(expected).await
    }

    /// Reads an answer of one line or more, all but the last of which have a hyphen after the code.
    async fn hear(&mut self, expected: &str) -> io::Result<()> {
        let mut bounded = (&mut self.0).take(MAX_ANSWER);
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
fn written(messages: &Messages, message: &Message, now: SystemTime) -> String {
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
