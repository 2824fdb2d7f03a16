//! The questions of the command itself. Each is asked on a thread of its own, so that the runtime goes
//! on: the private homeserver answers, and requests are sent.

use std::{
    io::Write,
    sync::atomic::{AtomicUsize, Ordering},
};

use inquire::{
    Confirm, InquireError, Password, Select, Text, formatter::StringFormatter,
    list_option::ListOption,
};
use matricula::{Secret, auth::PasswordPolicy};
use unicode_width::UnicodeWidthStr;

use super::Terminal;
use crate::{
    error::CommandError,
    lines::one_line,
    output::{Output, width_of_stderr},
    text,
};

/// What stands in the place of a password that was typed.
const STARS: &str = "********";

/// How many questions are open.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Asks, and notes meanwhile that a question is open.
pub(super) fn asking<T>(question: impl FnOnce() -> T) -> T {
    OPEN.fetch_add(1, Ordering::SeqCst);
    let answer = question();
    OPEN.fetch_sub(1, Ordering::SeqCst);
    answer
}

/// Gives the terminal back as it was, if the command ends while a question is open.
pub(crate) fn restore() {
    if OPEN.load(Ordering::SeqCst) > 0 {
        let _ = crossterm::terminal::disable_raw_mode();
        // No bracketed paste, and a cursor.
        let _ = write!(std::io::stderr(), "\x1b[?2004l\x1b[?25h\r\n");
    }
}

impl Terminal {
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Output) -> Result<T, InquireError> + Send + 'static,
    ) -> Result<T, CommandError> {
        let output = self.output;
        let asked = tokio::task::spawn_blocking(move || asking(|| question(output)));
        match asked.await {
            Ok(answer) => answer.map_err(prompt_error),
            Err(_) => Err(CommandError::Interrupted),
        }
    }

    /// Asks for a line of text, without the spaces around it. The example is shown until the first
    /// character is typed.
    pub(crate) async fn line(
        &self,
        question: &'static str,
        example: &'static str,
    ) -> Result<String, CommandError> {
        let line = self.ask(move |output| {
            let label = label(output, question);
            Text::new(&label).with_placeholder(example).prompt()
        });
        Ok(line.await?.trim().to_owned())
    }

    /// Asks which of these; returns its index.
    pub(crate) async fn choose(
        &self,
        question: String,
        options: Vec<String>,
    ) -> Result<usize, CommandError> {
        self.ask(move |output| choose(output, &question, options))
            .await
    }

    /// Asks for a new password that the policy of the server allows; `None` has one generated.
    pub(crate) async fn choose_password(
        &self,
        policy: Option<PasswordPolicy>,
    ) -> Result<Option<Secret>, CommandError> {
        self.ask(move |output| choose_password(output, policy.as_ref()))
            .await
    }

    /// Asks for a password that is in use.
    pub(crate) async fn password(&self, question: String) -> Result<Secret, CommandError> {
        self.ask(move |output| password(output, &question)).await
    }

    /// Asks for another secret, by its name, and blocks meanwhile: for a command that has not begun
    /// anything else.
    pub(crate) fn secret(&self, name: &str) -> Result<Secret, CommandError> {
        let asked = asking(|| secret(self.output, &format!("{name}:"), &|_| STARS.to_owned()));
        asked.map_err(prompt_error)
    }

    /// Asks for the consent to something.
    pub(crate) async fn confirm(&self, question: &'static str) -> Result<bool, CommandError> {
        self.ask(move |output| {
            let label = label(output, question);
            Confirm::new(&label).with_default(false).prompt()
        })
        .await
    }
}

/// Asks which of these; returns its index.
pub(super) fn choose(
    output: Output,
    question: &str,
    options: Vec<String>,
) -> Result<usize, InquireError> {
    // The mark before an option.
    const MARGIN: usize = 2;
    const HELP: &str = "↑↓ to move, enter to select";
    let width = width_of_stderr().unwrap_or(usize::MAX);
    let mut options: Vec<String> = options.iter().map(|option| one_line(option)).collect();
    if options.iter().any(|one| one.width() + MARGIN >= width) {
        // The terminal would break them within words.
        let lines = (1..).zip(&options);
        let lines: Vec<String> = lines.map(|(at, one)| format!("{at}  {one}")).collect();
        output.say_in_full(&lines);
        options = (1..=options.len()).map(|at| at.to_string()).collect();
    }
    let label = label(output, question);
    // The answer stands after the question, if there is room for it.
    let shown = |chosen: ListOption<&String>| {
        let all = [&label, chosen.value].map(|text| text.width());
        match all.iter().sum::<usize>() + MARGIN < width {
            true => chosen.value.clone(),
            false => String::new(),
        }
    };
    let mut select = Select::new(&label, options)
        .without_filtering()
        .with_formatter(&shown);
    // It stands in brackets.
    select.help_message = (HELP.width() + 2 < width).then_some(HELP);
    Ok(select.raw_prompt()?.index)
}

/// The last line of a question. The lines before it are printed, because a question would break its
/// words at the edge of the terminal.
pub(super) fn label(output: Output, question: &str) -> String {
    // The mark before a question, and room for the answer.
    const MARGIN: usize = 2;
    let question = one_line(question);
    let lines = match width_of_stderr() {
        Some(width) => text::wrapped(&question, width.saturating_sub(MARGIN)),
        None => question,
    };
    let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    let last = lines.pop().unwrap_or_default();
    if !lines.is_empty() {
        output.say_in_full(&lines);
    }
    last
}

/// Asks for a secret without showing it. `shown` is what stands in its place afterwards.
fn secret(
    output: Output,
    question: &str,
    shown: StringFormatter<'_>,
) -> Result<Secret, InquireError> {
    let label = label(output, question);
    let password = Password::new(&label)
        .without_confirmation()
        .with_formatter(shown);
    Ok(Secret::from(password.prompt()?))
}

/// Asks for a password until one is typed.
pub(super) fn password(output: Output, question: &str) -> Result<Secret, InquireError> {
    let shown = |text: &str| match text {
        "" => String::new(),
        _ => STARS.to_owned(),
    };
    loop {
        let password = secret(output, question, &shown)?;
        if !password.is_empty() {
            return Ok(password);
        }
        output.warn("type the password, or press Ctrl-C");
    }
}

/// Asks for a new password, twice; `None` has one generated.
pub(super) fn choose_password(
    output: Output,
    policy: Option<&PasswordPolicy>,
) -> Result<Option<Secret>, InquireError> {
    let complaint = |text: &str| {
        let (_, why) = policy?.complaint(&Secret::from(text))?;
        Some(why)
    };
    // A password that cannot be used is not shown like one that can.
    let shown = |text: &str| match complaint(text) {
        _ if text.is_empty() => "generated".to_owned(),
        Some(why) => why,
        None => STARS.to_owned(),
    };
    loop {
        let question = "A password (empty: a strong one is generated and stored):";
        let password = secret(output, question, &shown)?;
        if password.is_empty() {
            return Ok(None);
        }
        if let Some(why) = complaint(password.expose()) {
            output.warn(&format!("the server does not take this password: {why}"));
            continue;
        }
        let same = |text: &str| match text == password.expose() {
            true => STARS.to_owned(),
            false => "different".to_owned(),
        };
        if secret(output, "The same again:", &same)? == password {
            return Ok(Some(password));
        }
        output.warn("these are two different passwords");
    }
}

/// Asks for another password, after the server refused one.
pub(super) fn another_password(output: Output) -> Result<Secret, InquireError> {
    loop {
        let password = password(output, "Another password:")?;
        let same = |text: &str| match text == password.expose() {
            true => STARS.to_owned(),
            false => "different".to_owned(),
        };
        if secret(output, "The same again:", &same)? == password {
            return Ok(password);
        }
        output.warn("these are two different passwords");
    }
}

pub(super) fn is_interruption(error: &InquireError) -> bool {
    matches!(
        error,
        InquireError::OperationCanceled | InquireError::OperationInterrupted
    )
}

fn prompt_error(error: InquireError) -> CommandError {
    if is_interruption(&error) {
        return CommandError::Interrupted;
    }
    CommandError::other(format!(
        "the terminal cannot be asked ({error}); use --no-input"
    ))
}
