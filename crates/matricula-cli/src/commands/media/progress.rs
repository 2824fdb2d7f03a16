//! The progress of a transfer: a bar on a terminal, lines elsewhere.

use std::{
    fs::File,
    io::{self, IsTerminal},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use matricula::runner::BuildError;
use matricula::{
    core::FileRef,
    runner::{FileStore, PartialFile, Runner, TransferProgress},
};

use crate::output::{Output, duration};

/// The interval between lines without a terminal.
const PAUSE: Duration = Duration::from_secs(10);
/// The interval between redraws of the bar.
const FRAME: Duration = Duration::from_millis(100);

/// Shows the progress of the one file of a runner. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ProgressDisplay(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    output: Output,
    is_on_terminal: bool,
    bar: Option<ProgressBar>,
    /// The offset in bytes and the time at which this attempt started.
    from: u64,
    since: Instant,
    /// Whether to print that this attempt resumes an earlier one.
    goes_on: bool,
    last_line: Instant,
}

impl ProgressDisplay {
    pub(super) fn new(output: Output) -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            output,
            is_on_terminal: io::stderr().is_terminal(),
            bar: None,
            from: 0,
            since: now,
            goes_on: false,
            last_line: now,
        })))
    }

    /// The runner with these files, reporting its progress here.
    pub(super) fn watch(
        &self,
        runner: &Runner,
        files: impl FileStore + 'static,
    ) -> Result<Runner, BuildError> {
        let files = Watched {
            files,
            display: self.clone(),
        };
        let display = self.clone();
        runner
            .to_builder()
            .files(files)
            .progress(move |_, progress| display.state().update(progress))
            .build()
    }

    /// Prints something else above the bar.
    pub(super) fn aside(&self, talk: impl FnOnce()) {
        self.state().aside(talk);
    }

    /// Ends the display.
    pub(super) fn end(&self) {
        if let Some(bar) = self.state().bar.take() {
            bar.finish_and_clear();
        }
    }

    fn begins_at(&self, from: u64) {
        let mut state = self.state();
        state.from = from;
        state.since = Instant::now();
        state.goes_on = from > 0;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn update(&mut self, progress: TransferProgress) {
        if std::mem::take(&mut self.goes_on) {
            let (output, at) = (self.output, share(self.from, progress.total));
            self.aside(|| output.say(&format!("goes on at {at}")));
        }
        let pause = if self.is_on_terminal { FRAME } else { PAUSE };
        if self.output.is_json() || self.last_line.elapsed() < pause {
            return;
        }
        self.last_line = Instant::now();
        let words = words(
            progress.done,
            progress.total,
            self.from,
            self.since.elapsed(),
        );
        if !self.is_on_terminal {
            return self.output.say(&words);
        }
        let bar = self.bar.get_or_insert_with(|| bar(progress.total));
        bar.set_position(progress.done);
        bar.set_message(words);
    }

    fn aside(&self, talk: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(talk),
            None => talk(),
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let bar = ProgressBar::with_draw_target(total, target);
    let template = match total {
        Some(_) => "{bar:30} {msg}",
        None => "{msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A readable number of bytes.
pub(super) fn size(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

fn share(done: u64, total: Option<u64>) -> String {
    match total {
        // Not 100 % before the transfer is complete.
        Some(total) if total > 0 => {
            format!("{:.0} %", (done as f64 * 100.0 / total as f64).floor())
        }
        _ => size(done),
    }
}

/// Progress, rate and time left. Bytes of an earlier attempt do not count for the rate.
fn words(done: u64, total: Option<u64>, from: u64, took: Duration) -> String {
    let rate = done.saturating_sub(from) as f64 / took.as_secs_f64().max(0.001);
    let mut words = match total {
        Some(total) => format!("{} of {}", size(done), size(total)),
        None => size(done),
    };
    words += &format!(": {} a second", size(rate as u64));
    if let Some(total) = total.filter(|_| rate >= 1.0) {
        let left = total.saturating_sub(done) as f64 / rate;
        words += &format!(", {} left", duration(Duration::from_secs_f64(left)));
    }
    words
}

/// Files that report the offset at which a transfer starts.
#[derive(Debug)]
struct Watched<F> {
    files: F,
    display: ProgressDisplay,
}

impl<F: FileStore> FileStore for Watched<F> {
    fn open(&self, file: &FileRef) -> io::Result<File> {
        self.display.begins_at(0);
        self.files.open(file)
    }

    fn create(&self, file: &FileRef) -> io::Result<File> {
        self.display.begins_at(0);
        self.files.create(file)
    }

    fn commit(&self, file: &FileRef) -> io::Result<()> {
        self.files.commit(file)
    }

    fn abort(&self, file: &FileRef) {
        self.files.abort(file);
    }

    fn save_resume_token(&self, file: &FileRef, note: &str) -> io::Result<bool> {
        self.files.save_resume_token(file, note)
    }

    fn open_partial(&self, file: &FileRef) -> io::Result<Option<PartialFile>> {
        let begun = self.files.open_partial(file)?;
        self.display
            .begins_at(begun.as_ref().map_or(0, |begun| begun.length));
        Ok(begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(done: u64, total: impl Into<Option<u64>>, from: u64, seconds: u64) -> String {
        words(done, total.into(), from, Duration::from_secs(seconds))
    }

    #[test]
    fn rate_counts_this_attempt_only() {
        let mib = 1 << 20;
        assert_eq!(
            at(60 * mib, 100 * mib, 40 * mib, 10),
            "60.00 MiB of 100.00 MiB: 2.00 MiB a second, 20 s left"
        );
        assert_eq!(at(mib, None, 0, 1), "1.00 MiB: 1.00 MiB a second");
        assert_eq!(at(0, mib, 0, 5), "0 B of 1.00 MiB: 0 B a second");
    }

    #[test]
    fn partial_transfer_is_below_100_percent() {
        assert_eq!(share(999_999, Some(1_000_000)), "99 %");
        assert_eq!(share(5, None), "5 B");
        assert_eq!(share(0, Some(0)), "0 B");
    }
}
