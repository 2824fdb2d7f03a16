//! How a run goes: a bar on a terminal, lines elsewhere.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use matricula::bulk::{Counts, RequestCounts, RunLog};

use crate::output::{Output, in_words};

/// How often a line is written where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);
/// How often the rows are counted for the bar.
const FRAME: Duration = Duration::from_millis(100);

pub(super) struct Progress {
    output: Output,
    bar: Option<ProgressBar>,
    what: &'static str,
    /// Rows that had ended before.
    before: usize,
    start: Instant,
    told: Instant,
}

impl Progress {
    pub(super) fn begin(output: Output, counts: Counts, what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(10);
            let bar = ProgressBar::with_draw_target(Some(counts.rows as u64), target);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self {
            output,
            bar,
            what,
            before: ended(counts),
            start: Instant::now(),
            told: Instant::now(),
        }
    }

    pub(super) fn tell(&mut self, ledger: &RunLog, traffic: RequestCounts) {
        let pause = if self.bar.is_some() { FRAME } else { PAUSE };
        if self.told.elapsed() < pause {
            return;
        }
        self.told = Instant::now();
        let counts = ledger.counts();
        let ended = ended(counts);
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = ended.saturating_sub(self.before) as f64 / seconds.max(0.001);
        let mut words = format!("{rate:.1} a second");
        if rate > 0.0 {
            let left = (counts.rows - ended) as f64 / rate;
            words += &format!(", {} left", in_words(Duration::from_secs_f64(left)));
        }
        if traffic.limited > 0 {
            words += &format!(", slowed down by the server {} times", traffic.limited);
        }
        match &self.bar {
            Some(bar) => {
                bar.set_position(ended as u64);
                bar.set_message(words);
            }
            None => {
                let (rows, what) = (counts.rows, self.what);
                self.output
                    .say(&format!("{ended} of {rows} {what}: {words}"));
            }
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn ended(counts: Counts) -> usize {
    counts.rows - counts.not_begun - counts.in_doubt
}
