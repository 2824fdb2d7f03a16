//! What is printed: data to standard output, talk to standard error.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where printing is done"
)]

use std::io::{IsTerminal, Write};

use serde_json::Value;

use crate::failure::Failure;

/// Prints, in words or as JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    json: bool,
    colour: bool,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        let colour = std::io::stderr().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, colour }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Talk: how it goes.
    pub(crate) fn say(self, text: &str) {
        eprintln!("{}", printable(text));
    }

    /// Talk that should not be overlooked.
    pub(crate) fn warn(self, text: &str) {
        if self.colour {
            eprintln!("\x1b[33m{}\x1b[0m", printable(text));
        } else {
            self.say(text);
        }
    }

    /// The result: in words, or the JSON object.
    pub(crate) fn result(self, words: &str, object: &Value) {
        let text = if self.json {
            object.to_string()
        } else {
            printable(words)
        };
        let mut out = std::io::stdout().lock();
        // Whoever closed the other end has read enough.
        let _ = writeln!(out, "{text}");
    }

    /// What to type next.
    pub(crate) fn next(self, command: &str) {
        if self.json {
            return;
        }
        if self.colour {
            eprintln!("next: \x1b[1m{command}\x1b[0m");
        } else {
            eprintln!("next: {command}");
        }
    }

    /// Why it failed.
    pub(crate) fn failure(self, failure: &Failure) {
        let message = printable(&failure.message());
        if self.colour {
            eprintln!("\x1b[31merror:\x1b[0m {message}");
        } else {
            eprintln!("error: {message}");
        }
        if self.json {
            self.result("", &failure.json());
        } else if let Some(next) = failure.next() {
            self.next(&next);
        }
    }
}

/// The text without what could play tricks on a terminal: control characters other than line
/// breaks, and those that change the direction of writing.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |c: &char| match c {
        '\n' => true,
        '\u{200e}'
        | '\u{200f}'
        | '\u{061c}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => false,
        '\u{2028}' | '\u{2029}' => false,
        c => !c.is_control(),
    };
    text.chars().filter(harmless).collect()
}

/// An address that a server named, if it is one that may be shown as a link.
pub(crate) fn link(url: &str) -> Option<String> {
    let lower = url.trim_start().to_ascii_lowercase();
    (lower.starts_with("https://") || lower.starts_with("http://")).then(|| printable(url))
}
