//! Opens web pages for the person, and receives their callbacks.

use std::{
    io::{self, BufRead, IsTerminal, Read},
    time::Duration,
};

use matricula::{
    AnswerFuture, CallbackServer, PendingCallback,
    api::oauth::ClientMetadata,
    auth::{Answer, Prompt},
};

use crate::output::{Output, link};

/// The maximum size of an address on standard input, in bytes.
const MAX_ADDRESS_SIZE: u64 = 64 << 10;

/// The client metadata for OAuth 2.0 servers. They require a web page: this one is of a reserved
/// domain, because the program has none.
pub(crate) fn about() -> ClientMetadata {
    ClientMetadata::new("https://matricula.example/").client_name("matricula")
}

/// How pages are opened.
#[derive(Debug, Default)]
pub(crate) enum PageOpener {
    /// In a browser of this machine.
    Here(CallbackServer),
    /// By the person, on any machine. The callback address is read from standard input.
    Pasted,
    /// Not at all.
    #[default]
    Nowhere,
}

impl PageOpener {
    /// The opener, and the redirect URI. `may_open`: a person sees this machine's screen. `before`:
    /// the redirect URI of an earlier run.
    pub(crate) async fn open(
        output: Output,
        paste: bool,
        may_open: bool,
        before: Option<&str>,
    ) -> (Self, String) {
        let listening = match before {
            Some(address) if may_open && !paste => CallbackServer::listen_again(address).await,
            // The browser may have returned to that address already.
            Some(address) => {
                let pages = if paste { Self::Pasted } else { Self::Nowhere };
                return (pages, address.to_owned());
            }
            None => CallbackServer::listen().await,
        };
        match listening {
            Ok(browser) => {
                let redirect_uri = browser.redirect_uri();
                let pages = match (paste, may_open) {
                    (true, _) => Self::Pasted,
                    (false, true) => Self::Here(browser),
                    (false, false) => Self::Nowhere,
                };
                (pages, redirect_uri)
            }
            Err(error) => {
                output.warn(&format!("no port of 127.0.0.1 can be opened: {error}"));
                let pages = if paste { Self::Pasted } else { Self::Nowhere };
                (pages, "http://127.0.0.1/".to_owned())
            }
        }
    }

    /// Answers [`Prompt::OpenPage`]; `None` for other prompts, or if no page can be opened. It does
    /// not block, so that Ctrl-C works.
    pub(crate) fn answer(&self, output: Output, question: &Prompt) -> Option<AnswerFuture> {
        let Prompt::OpenPage {
            url,
            redirect_uri,
            state,
            why,
        } = question
        else {
            return None;
        };
        let page = link(url.expose())?;
        if let Some(why) = why {
            output.warn(why);
        }
        match self {
            Self::Here(browser) => {
                let expected = browser.expect(url.clone(), state.clone()).ok()?;
                let timeout = minutes(browser.answer_timeout());
                Some(Box::pin(show(output, page, expected, timeout)))
            }
            Self::Pasted => {
                output.say_in_full(&[
                    "open this page in a browser, on any machine:".to_owned(),
                    format!("  {page}"),
                    format!(
                        "in the end the browser fails to show a page of {redirect_uri}; copy the \
                         whole address of that page, and paste it here:"
                    ),
                ]);
                Some(Box::pin(read_address()))
            }
            Self::Nowhere => None,
        }
    }
}

async fn show(output: Output, page: String, expected: PendingCallback, timeout: String) -> Answer {
    let page = match io::stderr().is_terminal() {
        true => &page,
        // Other output than a terminal may be stored: it gets the address without the secret.
        false => expected.start(),
    };
    match expected.open().await {
        Ok(()) => output.say_in_full(&[
            format!(
                "a browser is opened, and waited for {timeout}; if none shows up, open this page in \
                 one on this machine:"
            ),
            format!("  {page}"),
        ]),
        Err(error) => output.warn_in_full(&[
            format!(
                "no browser can be opened ({error}); open this page in one on this machine, within \
                 {timeout}:"
            ),
            format!("  {page}"),
        ]),
    }
    match expected.wait().await {
        Ok(address) => Answer::Text(address),
        Err(why) => {
            output.warn(&why.to_string());
            Answer::Unavailable
        }
    }
}

async fn read_address() -> Answer {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let length = io::stdin()
            .lock()
            .take(MAX_ADDRESS_SIZE)
            .read_line(&mut line);
        Some(line).filter(|_| matches!(length, Ok(1..)))
    });
    match read.await {
        Ok(Some(line)) => Answer::Text(line.into()),
        _ => Answer::Unavailable,
    }
}

/// A duration in whole minutes.
pub(crate) fn minutes(time: Duration) -> String {
    match time.as_secs().div_ceil(60) {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}
