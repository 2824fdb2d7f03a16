//! The progress of a run: a bar on a terminal, otherwise a line now and then.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use matricula::bulk::{Counts, RequestCounts, RunLog};

use crate::{
    output::{Output, duration},
    text::count,
};

/// How often a line is printed without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// How often the bar is updated.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct Progress {
    output: Output,
    bar: Option<ProgressBar>,
    verb: &'static str,
    /// Rows that were finished before this process.
    finished_before: usize,
    started: Instant,
    updated: Instant,
}

impl Progress {
    /// `verb` says what happens to the rows, like "created".
    pub(super) fn start(output: Output, counts: Counts, verb: &'static str) -> Self {
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
            verb,
            finished_before: counts.finished(),
            started: Instant::now(),
            updated: Instant::now(),
        }
    }

    pub(super) fn update(&mut self, log: &RunLog, requests: RequestCounts) {
        let interval = if self.bar.is_some() {
            BAR_INTERVAL
        } else {
            LINE_INTERVAL
        };
        if self.updated.elapsed() < interval {
            return;
        }
        self.updated = Instant::now();
        let counts = log.counts();
        let finished = counts.finished();
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = finished.saturating_sub(self.finished_before) as f64 / seconds.max(0.001);
        let mut text = format!("{rate:.1} a second");
        if rate > 0.0 {
            let left = (counts.rows - finished) as f64 / rate;
            text += &format!(", {} left", duration(Duration::from_secs_f64(left)));
        }
        if requests.rate_limited > 0 {
            let times = count(requests.rate_limited, "time");
            text += &format!(", {times} rate limited");
        }
        if let Some(bar) = &self.bar {
            bar.set_position(finished as u64);
            bar.set_message(text);
        } else {
            let (rows, verb) = (counts.rows, self.verb);
            self.output
                .say(&format!("{finished} of {rows} {verb}: {text}"));
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
