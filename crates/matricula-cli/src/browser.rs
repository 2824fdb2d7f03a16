//! How pages are opened for the person, and how their answers come back.

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

/// The longest address that is read from standard input.
const LONGEST: u64 = 64 << 10;

/// What this program says of itself to OAuth 2.0 servers. They want a page on the web, and it has
/// none: the name can be nobody's.
pub(crate) fn about() -> ClientMetadata {
    ClientMetadata::new("https://matricula.example/").client_name("matricula")
}

/// Where pages are opened.
#[derive(Debug, Default)]
pub(crate) enum PageOpener {
    /// In a browser of this machine.
    Here(CallbackServer),
    /// Wherever the person likes; the address that they lead back to is typed in.
    Pasted,
    /// Nowhere.
    #[default]
    Nowhere,
}

impl PageOpener {
    /// The way that fits, and where pages are to lead back to. `may_open`: a person looks at this
    /// machine. `before`: where they were to lead back to in an earlier run.
    pub(crate) async fn open(
        output: Output,
        paste: bool,
        may_open: bool,
        before: Option<&str>,
    ) -> (Self, String) {
        let listening = match before {
            Some(address) if may_open && !paste => CallbackServer::listen_again(address).await,
            // The person's browser may have come back to that address already.
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
                output.warn(&format!("nobody may listen on 127.0.0.1: {error}"));
                let pages = if paste { Self::Pasted } else { Self::Nowhere };
                (pages, "http://127.0.0.1/".to_owned())
            }
        }
    }

    /// Begins to answer a question to open a page, where there is a way to open one. Nothing blocks,
    /// so that Ctrl-C ends it.
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
                let patience = minutes(browser.answer_timeout());
                Some(Box::pin(show(output, page, expected, patience)))
            }
            Self::Pasted => {
                output.say_in_full(&format!(
                    "open this page in a browser, on any machine:\n  {page}\n\
                     in the end the browser fails to show a page of {redirect_uri}; copy the whole \
                     address of that page, and paste it here:"
                ));
                Some(Box::pin(read_address()))
            }
            Self::Nowhere => None,
        }
    }
}

async fn show(output: Output, page: String, expected: PendingCallback, patience: String) -> Answer {
    let page = match io::stderr().is_terminal() {
        true => &page,
        // Only a terminal is looked at by the person alone.
        false => expected.start(),
    };
    match expected.open().await {
        Ok(()) => output.say_in_full(&format!(
            "a browser is opened, and waited for {patience}; if none shows up, open this page in one \
             on this machine:\n  {page}"
        )),
        Err(error) => output.warn_in_full(&format!(
            "no browser can be opened ({error}); open this page in one on this machine, within \
             {patience}:\n  {page}"
        )),
    }
    expected.answer().await
}

async fn read_address() -> Answer {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let length = io::stdin().lock().take(LONGEST).read_line(&mut line);
        Some(line).filter(|_| matches!(length, Ok(1..)))
    });
    match read.await {
        Ok(Some(line)) => Answer::Text(line.into()),
        _ => Answer::Unavailable,
    }
}

/// A time in words, in whole minutes.
pub(crate) fn minutes(time: Duration) -> String {
    match time.as_secs().div_ceil(60) {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}
