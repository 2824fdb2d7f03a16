//! The terminal: asks questions on it where a person is there, and prints the progress.

mod prompts;
mod questions;

use std::{
    future::ready,
    io::IsTerminal,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use inquire::ui::RenderConfig;
use matricula::{
    Answer, AnswerFuture, Progress, Prompt, PromptHandler,
    core::{Timestamp, scheduler::WaitReason},
};

use crate::{
    browser::{PageOpener, minutes},
    output::{Output, link, quoted},
};
use questions::is_interruption;
pub(crate) use questions::restore;

/// Asks on the terminal if a person is there. Clones share what they learnt.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    output: Output,
    has_person: bool,
    pages: Arc<PageOpener>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Until when requests wait, as last printed.
    waiting_until: Timestamp,
    /// The chosen stages and the reason, for the JSON result.
    route: Option<(Vec<String>, String)>,
    /// Whether a registration ended in an account that existed before.
    account_existed: bool,
    /// Whether the person answered a question with Ctrl-C or Escape.
    was_interrupted: bool,
}

impl Terminal {
    pub(crate) fn new(output: Output, no_input: bool) -> Self {
        let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if !output.has_colour() {
            inquire::set_global_render_config(RenderConfig::empty());
        }
        Self {
            output,
            has_person: is_terminal && !no_input && !output.is_json(),
            pages: Arc::default(),
            state: Arc::default(),
        }
    }

    /// Whether a person can be asked.
    pub(crate) fn has_person(&self) -> bool {
        self.has_person
    }

    /// Chooses how pages are opened, and returns the address that they lead back to: see
    /// [`PageOpener::open`].
    pub(crate) async fn open_pages(
        &mut self,
        paste: bool,
        may_open: bool,
        before: Option<&str>,
    ) -> String {
        let (pages, redirect_uri) = PageOpener::open(self.output, paste, may_open, before).await;
        self.pages = Arc::new(pages);
        redirect_uri
    }

    /// The stages of the conversation, and why these.
    pub(crate) fn route(&self) -> Option<(Vec<String>, String)> {
        self.state().route.clone()
    }

    /// Whether a registration ended in an account that existed before.
    pub(crate) fn account_existed(&self) -> bool {
        self.state().account_existed
    }

    /// Whether the person answered a question with Ctrl-C or Escape.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.state().was_interrupted
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_device_code(
        &self,
        url: &str,
        url_with_code: Option<&str>,
        user_code: &str,
        expires_at: Timestamp,
    ) {
        let left = minutes(expires_at.since(matricula::runner::SystemClock::now()));
        let page = link(url).unwrap_or_default();
        let code = quoted(user_code);
        self.output.say_in_full(&[
            format!("open this page in a browser, on any device, and type in the code {code}:"),
            format!("  {page}"),
        ]);
        if let Some(page) = url_with_code.and_then(link) {
            self.output.say_in_full(&[
                "or this one, which has the code in it:".to_owned(),
                format!("  {page}"),
            ]);
        }
        self.output.say(&format!("waiting; {left} left"));
    }
}

impl PromptHandler for Terminal {
    fn answer(&mut self, prompt: &Prompt) -> AnswerFuture {
        if let Some(answer) = self.pages.answer(self.output, prompt) {
            return answer;
        }
        if !self.has_person {
            return Box::pin(ready(Answer::Unavailable));
        }
        let (output, prompt, state) = (self.output, prompt.clone(), Arc::clone(&self.state));
        let asked = tokio::task::spawn_blocking(move || {
            questions::asking(|| prompts::ask(output, &prompt)).unwrap_or_else(|error| {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.was_interrupted |= is_interruption(&error);
                Answer::Unavailable
            })
        });
        Box::pin(async move { asked.await.unwrap_or(Answer::Unavailable) })
    }

    fn progress(&mut self, progress: &Progress) {
        match progress {
            Progress::Route { stages, why } => {
                let stages: Vec<String> = stages.iter().map(ToString::to_string).collect();
                let route = match stages.is_empty() {
                    true => "no stage".to_owned(),
                    false => stages.join(", "),
                };
                self.output.say(&format!("route: {route} ({why})"));
                self.state().route = Some((stages, why.clone()));
            }
            Progress::NoWellKnown { name, server } => self.output.say(&format!(
                "{name} has no well-known document: taking {server} as the homeserver's address"
            )),
            Progress::DeviceCode {
                url,
                url_with_code,
                user_code,
                expires_at,
            } => self.show_device_code(url, url_with_code.as_deref(), user_code, *expires_at),
            Progress::StageDone(stage) => self.output.say(&format!("done: {stage}")),
            Progress::StageNotDone { stage, .. } => self.output.say(&format!(
                "the server says that {stage} is not done yet: asking it again now and then; Ctrl-C \
                 leaves it for later"
            )),
            Progress::NoSession => self
                .output
                .say("the server gives this user no session; it is made without one"),
            Progress::Settling(how) => self
                .output
                .warn(&format!("it is not certain what the server did: {how}")),
            Progress::BeginningAgain(why) => self.output.warn(why),
            Progress::AdminNotGranted { issuer } => self.output.warn(&format!(
                "{issuer} did not grant the admin API: the session is not an administrator's"
            )),
            Progress::DeviceNotNamed { name, why } => self.output.warn(&format!(
                "the device is not called {}: {why}; account devices rename does it later",
                quoted(name)
            )),
            Progress::AccountExisted(_) => self.state().account_existed = true,
            _ => {}
        }
    }

    fn waiting(&mut self, until: Timestamp, why: &WaitReason) {
        let now = matricula::runner::SystemClock::now();
        let mut state = self.state();
        // Of several requests that wait at once, only the first is reported.
        if now < state.waiting_until {
            return;
        }
        state.waiting_until = until;
        let seconds = until.since(now).as_secs_f64();
        match why {
            WaitReason::RateLimited => self.output.say(&format!(
                "the server accepts no more requests for now: waiting {seconds:.1} s"
            )),
            WaitReason::Unreachable(reason) => self
                .output
                .say(&format!("{reason}: trying again in {seconds:.1} s")),
            _ => {}
        }
    }
}
