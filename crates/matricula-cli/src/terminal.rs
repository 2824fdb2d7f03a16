//! Whoever sits at the terminal, if anyone does.

use std::io::IsTerminal;

use matricula::{
    AnswerFuture, PromptHandler,
    auth::{Answer, Progress, Prompt},
    core::{Secret, Timestamp, scheduler::WaitReason},
};

use inquire::InquireError;

use crate::{
    browser::{PageOpener, minutes},
    error::CommandError,
    output::{Output, link, printable, quoted},
};

/// Asks on the terminal, or answers for nobody.
#[derive(Debug)]
pub(crate) struct Terminal {
    output: Output,
    is_there: bool,
    /// How pages are opened.
    pub(crate) pages: PageOpener,
    /// Until when it was said that requests wait.
    waiting_until: Timestamp,
    /// What was chosen and why, for the JSON output.
    pub(crate) route: Option<(Vec<String>, String)>,
    /// Whether a question was answered with Ctrl-C or Escape.
    pub(crate) was_interrupted: bool,
}

impl Terminal {
    pub(crate) fn new(output: Output, no_input: bool) -> Self {
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Self {
            output,
            is_there: terminal && !no_input && !output.is_json(),
            pages: PageOpener::default(),
            waiting_until: Timestamp::default(),
            route: None,
            was_interrupted: false,
        }
    }

    /// Whether someone can be asked.
    pub(crate) fn is_there(&self) -> bool {
        self.is_there
    }

    /// Asks which homeserver; `None` is the private one.
    pub(crate) fn choose_server(&self) -> Result<Option<String>, CommandError> {
        let private = "a private one on this machine";
        let named = "one that I name";
        let choice = inquire::Select::new("Which homeserver?", vec![private, named]);
        if choice.prompt().map_err(prompt_failure)? == private {
            return Ok(None);
        }
        let name = inquire::Text::new("Its name:").with_placeholder("example.org");
        Ok(Some(name.prompt().map_err(prompt_failure)?))
    }

    /// Asks for a name; `None` leaves it to the server.
    pub(crate) fn choose_username(&self) -> Result<Option<String>, CommandError> {
        let name = inquire::Text::new("Your name there (empty: the server picks one):");
        Ok(Some(name.prompt().map_err(prompt_failure)?).filter(|name| !name.trim().is_empty()))
    }

    /// Asks for a new password; `None` has one made.
    pub(crate) fn choose_password(&self) -> Result<Option<Secret>, CommandError> {
        loop {
            let password = secret("A password (empty: a strong one is made and kept):")?;
            if password.is_empty() {
                return Ok(None);
            }
            if secret("The same again:")? == password {
                return Ok(Some(password));
            }
            self.output.warn("these are two different passwords");
        }
    }

    /// Asks for the password of an account.
    pub(crate) fn password(&self) -> Result<Secret, CommandError> {
        secret("Password:")
    }

    /// Asks for another secret, by its name.
    pub(crate) fn secret(&self, name: &str) -> Result<Secret, CommandError> {
        secret(&format!("{name}:"))
    }

    /// Asks whether something is to be done that cannot be undone.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool, CommandError> {
        let confirm = inquire::Confirm::new(question).with_default(false);
        confirm.prompt().map_err(prompt_failure)
    }

    fn warn_of(&self, why: &Option<String>) {
        if let Some(why) = why {
            self.output.warn(why);
        }
    }

    fn show_code(
        &self,
        url: &str,
        url_with_code: Option<&str>,
        user_code: &str,
        expires_at: Timestamp,
    ) {
        let left = minutes(expires_at.since(matricula::runner::SystemClock::now()));
        let page = link(url).unwrap_or_default();
        self.output.say_in_full(&format!(
            "open this page in a browser, on any device, and type in the code {}:\n  {page}",
            quoted(user_code)
        ));
        if let Some(page) = url_with_code.and_then(link) {
            self.output
                .say_in_full(&format!("or this one, which has the code in it:\n  {page}"));
        }
        self.output.say(&format!("waiting; {left} left"));
    }

    fn done_or(&self, prompt: &str) -> Result<Answer, InquireError> {
        let yes = inquire::Confirm::new(prompt).with_default(true).prompt()?;
        Ok(if yes { Answer::Yes } else { Answer::No })
    }

    fn answer(&self, question: &Prompt) -> Result<Answer, InquireError> {
        let text = |why: &Option<String>, prompt: &str| {
            if let Some(why) = why {
                self.output.warn(why);
            }
            inquire::Text::new(prompt)
                .prompt()
                .map(|text| Answer::Text(text.into()))
        };
        match question {
            Prompt::HomeserverUrl { name, why } => {
                self.output.warn(why);
                let prompt = format!("The address of {name} (empty: give up):");
                let address = inquire::Text::new(&prompt)
                    .with_placeholder("https://matrix.example.org")
                    .prompt()?;
                Ok(match address.trim().is_empty() {
                    true => Answer::No,
                    false => Answer::Text(address.into()),
                })
            }
            Prompt::Username { why } => text(why, "Another name:"),
            Prompt::RegistrationToken { why } => text(why, "Registration token:"),
            Prompt::Password { why } => {
                if let Some(why) = why {
                    self.output.warn(why);
                }
                inquire::Password::new("Another password:")
                    .prompt()
                    .map(|text| Answer::Text(text.into()))
            }
            Prompt::CurrentPassword { user_id, why } => {
                self.warn_of(why);
                let prompt = printable(&format!("Password of {user_id}:"));
                inquire::Password::new(&prompt)
                    .without_confirmation()
                    .prompt()
                    .map(|text| Answer::Text(text.into()))
            }
            Prompt::EmailAddress { why } => text(why, "Your email address:"),
            Prompt::PhoneNumber { why } => text(
                why,
                "Your phone number with its country, like GB:07700900001:",
            ),
            Prompt::FollowLink { address, why } => {
                self.warn_of(why);
                self.output
                    .say(&format!("the server has written to {address}"));
                self.done_or("Follow the link in that message. Done? (no: send another)")
            }
            Prompt::Code { address, why } => {
                self.output
                    .say(&format!("the server has sent a code to {address}"));
                match text(why, "The code (empty: send another):")? {
                    Answer::Text(code) if code.is_empty() => Ok(Answer::No),
                    code => Ok(code),
                }
            }
            Prompt::StagePage { stage, url, why } => {
                self.warn_of(why);
                let page = link(url).unwrap_or_else(|| "(its address is not a web page)".into());
                self.output.say(&format!(
                    "open this page in a browser, for {stage}:\n  {page}"
                ));
                self.done_or("Done there?")
            }
            Prompt::IdentityProvider { providers } => {
                let names = providers.iter().map(|provider| printable(&provider.name));
                let choice = inquire::Select::new("Sign in with:", names.collect());
                let chosen = choice.raw_prompt()?.index;
                Ok(Answer::Text(providers[chosen].id.as_str().into()))
            }
            Prompt::AcceptTerms { policies } => {
                for policy in policies {
                    let url = link(&policy.url)
                        .unwrap_or_else(|| "(its address is not a web page)".into());
                    self.output.say(&format!("  {}: {url}", policy.name));
                }
                let yes = inquire::Confirm::new("Do you accept these terms?")
                    .with_default(false)
                    .prompt()?;
                Ok(if yes { Answer::Yes } else { Answer::No })
            }
            _ => Ok(Answer::Unavailable),
        }
    }
}

impl PromptHandler for Terminal {
    fn answer_later(&mut self, question: &Prompt) -> Option<AnswerFuture> {
        self.pages.answer_later(self.output, question)
    }

    fn ask(&mut self, question: &Prompt) -> Answer {
        if !self.is_there {
            return Answer::Unavailable;
        }
        self.answer(question).unwrap_or_else(|error| {
            self.was_interrupted |= matches!(
                error,
                InquireError::OperationCanceled | InquireError::OperationInterrupted
            );
            Answer::Unavailable
        })
    }

    fn progress(&mut self, notice: &Progress) {
        match notice {
            Progress::Route { stages, why } => {
                let stages: Vec<String> = stages.iter().map(ToString::to_string).collect();
                self.output
                    .say(&format!("route: {} ({why})", stages.join(", ")));
                self.route = Some((stages, why.clone()));
            }
            Progress::NoWellKnown { name, server } => self.output.say(&format!(
                "{name} has no well-known document: taking {server} as the homeserver's address"
            )),
            Progress::DeviceCode {
                url,
                url_with_code,
                user_code,
                expires_at,
            } => self.show_code(url, url_with_code.as_deref(), user_code, *expires_at),
            Progress::StageDone(stage) => self.output.say(&format!("done: {stage}")),
            Progress::NoSession => self
                .output
                .say("the server gives this user no session; it is made without one"),
            Progress::Settling(how) => self.output.warn(&format!("the answer was lost: {how}")),
            _ => {}
        }
    }

    fn waiting(&mut self, until: Timestamp, why: &WaitReason) {
        let now = matricula::runner::SystemClock::now();
        // Of several requests that wait at once, the first speaks for all.
        if now < self.waiting_until {
            return;
        }
        self.waiting_until = until;
        let seconds = until.since(now).as_secs_f64();
        match why {
            WaitReason::RateLimited => {
                self.output.say(&format!(
                    "the server asks for fewer requests: waiting {seconds:.1} s"
                ));
            }
            WaitReason::Unreachable(reason) => {
                self.output
                    .say(&format!("{reason}: trying again in {seconds:.1} s"));
            }
            _ => {}
        }
    }
}

/// Asks for what must not be seen.
fn secret(prompt: &str) -> Result<Secret, CommandError> {
    let password = inquire::Password::new(prompt).without_confirmation();
    Ok(Secret::from(password.prompt().map_err(prompt_failure)?))
}

fn prompt_failure(error: InquireError) -> CommandError {
    match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => {
            CommandError::Interrupted
        }
        other => CommandError::other(format!(
            "the terminal cannot be asked ({other}); use --no-input"
        )),
    }
}
