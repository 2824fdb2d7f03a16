//! The responses to the browser: pages without scripts and secrets.

use matricula_core::{Entropy, Secret};
use matricula_http::SystemEntropy;

/// What happened to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The program received the answer.
    Done,
    /// The program received the answer, which is a refusal.
    Refused,
    /// It is not a callback of the expected page.
    Wrong,
    /// The program no longer waits.
    TooLate,
    /// The program received the answer earlier.
    Again,
    /// The redirect to the page was used already.
    Opened,
}

impl Outcome {
    fn status(self) -> u16 {
        match self {
            Self::Done | Self::Refused | Self::Again => 200,
            Self::Wrong => 400,
            Self::TooLate | Self::Opened => 410,
        }
    }

    /// The heading, and the next step.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Done => (
                "Back to the program",
                "Your answer has arrived. You can close this page: the program goes on by itself, and says how it ends.",
            ),
            Self::Refused => (
                "Not allowed",
                "The server did not let the program in. You can close this page: the program says why, and how to begin again.",
            ),
            Self::Wrong => (
                "Not what was asked for",
                "This address does not answer what the program asked, so it was ignored. The program goes on waiting for the page that it opened.",
            ),
            Self::TooLate => (
                "Too late",
                "The program has stopped waiting for this answer. Go back to it and begin again.",
            ),
            Self::Again => (
                "Already answered",
                "The program has had this answer before. You can close this page.",
            ),
            Self::Opened => (
                "Already opened",
                "This address leads to the page only once. Use the page that it opened, or go back to the program and begin again.",
            ),
        }
    }
}

/// An HTTP response.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    header: String,
    body: String,
    see: Option<Secret>,
}

impl Answer {
    /// A response without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            header: String::new(),
            body: String::new(),
            see: None,
        }
    }

    /// A redirect.
    pub(super) fn see(page: Secret) -> Self {
        Self {
            see: Some(page),
            ..Self::empty(303)
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let see = match &self.see {
            // A line break would start another header.
            Some(page) => {
                let page: String = page.expose().chars().filter(|c| !c.is_control()).collect();
                format!("Location: {page}\r\n")
            }
            None => String::new(),
        };
        format!(
            "HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
             X-Content-Type-Options: nosniff\r\n{see}{header}\r\n{body}",
            status = self.status,
            length = self.body.len(),
            header = self.header,
            body = self.body,
        )
        .into_bytes()
    }
}

/// The page that shows the outcome.
pub(super) fn say(outcome: Outcome) -> Answer {
    let (heading, next) = outcome.words();
    // The policy allows this style sheet and no scripts.
    let nonce = SystemEntropy.text(b"abcdefghijkmnpqrstuvwxyz23456789", 26);
    let header = format!(
        "Content-Type: text/html; charset=utf-8\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'\r\n"
    );
    let style = include_str!("page.css");
    let body = format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{heading} – matricula</title>\n\
         <style nonce=\"{nonce}\">\n{style}</style>\n\
         </head>\n\
         <body>\n\
         <main>\n\
         <h1>{heading}</h1>\n\
         <p>{next}</p>\n\
         </main>\n\
         </body>\n\
         </html>\n"
    );
    Answer {
        status: outcome.status(),
        header,
        body,
        see: None,
    }
}
