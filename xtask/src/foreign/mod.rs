//! Runs clients of other projects against the embedded homeserver and Synapse, and compares what they see.
//!
//! Each script below `xtask/foreign/clients` prints one line for each step: its name, a tab and its outcome.
//! The script `endpoints.py` sends single requests; its outcomes are statuses and the shape of the answers,
//! which are compared with a snapshot.

mod differences;
mod install;
mod outcome;
mod script;
mod servers;
mod snapshot;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::Result;
use crate::workspace::{root, target};
use differences::Differences;
use outcome::{Comparison, compare};
use script::{Language, SCRIPTS, Script};
use servers::Servers;

/// The options of `cargo xtask foreign`.
#[derive(Args)]
pub(crate) struct Options {
    /// Fail if a client was skipped.
    #[arg(long)]
    strict: bool,
    /// Write the snapshot of single requests.
    #[arg(long)]
    bless: bool,
    /// Run only scripts whose name contains this text.
    filter: Option<String>,
}

/// The directory of the scripts, the pinned versions and the reviewed files.
fn sources() -> PathBuf {
    root().join("xtask/foreign")
}

/// The directory of the installed clients, the configurations and the logs.
fn home() -> PathBuf {
    target().join("foreign")
}

/// Runs the clients. Returns false if a step failed or differs without a reason.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let start = Instant::now();
    let differences = Differences::read(&sources().join("differences.yaml"))?;
    let python = install::python()?;
    let node = install::node();
    let servers = Servers::start()?;
    let mut report = Report::default();
    for script in SCRIPTS.iter().filter(|it| options.selects(it)) {
        let began = Instant::now();
        let program = match (script.language, &node) {
            (Language::Python, _) => &python,
            (Language::JavaScript, Ok(node)) => node,
            (Language::JavaScript, Err(why)) => {
                report.skipped.push((script.name, why.clone()));
                continue;
            }
        };
        let [ours, synapse] = script.run(program, &servers)?;
        let seconds = began.elapsed().as_secs_f32();
        eprintln!("{}: {} steps, {seconds:.1} s", script.name, ours.len());
        if script.is_snapshot {
            let problems = snapshot::check(&ours, &synapse, &differences, options.bless)?;
            report.passed += ours.len().saturating_sub(problems.len());
            report.add(script.name, problems);
            continue;
        }
        let Comparison { agreed, problems } = compare(script.name, &ours, &synapse, &differences);
        report.passed += agreed;
        report.add(script.name, problems);
    }
    drop(servers);
    report.print(start.elapsed().as_secs_f32());
    Ok(report.problems.is_empty() && (!options.strict || report.skipped.is_empty()))
}

impl Options {
    fn selects(&self, script: &Script) -> bool {
        let filter = self.filter.as_deref();
        filter.is_none_or(|filter| script.name.contains(filter))
    }
}

#[derive(Default)]
struct Report {
    passed: usize,
    problems: Vec<String>,
    skipped: Vec<(&'static str, String)>,
}

impl Report {
    fn add(&mut self, script: &str, problems: Vec<String>) {
        let named = problems.into_iter().map(|it| format!("{script} / {it}"));
        self.problems.extend(named);
    }

    fn print(&self, seconds: f32) {
        for (script, why) in &self.skipped {
            println!("skipped {script}: {why}");
        }
        for problem in &self.problems {
            println!("{problem}");
        }
        if !self.problems.is_empty() {
            println!("logs of the clients: target/foreign/logs");
        }
        println!("\nall clients: {seconds:.1} s");
        println!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.problems.len(),
            self.skipped.len()
        );
    }
}
