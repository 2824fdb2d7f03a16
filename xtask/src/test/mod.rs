//! Runs all tests in stages, and reports which were skipped and why.

mod browser;
mod keyring;
mod output;
mod servers;

use std::fmt;
use std::io::{BufRead, BufReader, Write, pipe, stdout};
use std::path::Path;
use std::time::{Duration, Instant};

use output::{Ignored, TestCounts};

use crate::workspace::cargo;
use crate::{Result, deps, spec, synapse};

/// The variable with the file that describes the servers for the live tests.
const SERVERS: &str = "MATRICULA_SYNAPSE";
/// The variable with the Python that has Synapse, for the live tests.
const PYTHON: &str = "MATRICULA_SYNAPSE_PYTHON";

/// What live tests find in their environment.
struct Live<'a> {
    servers: &'a Path,
    python: &'a Path,
}

/// Runs all tests, or those that match the filter. Returns false if a test failed, or if one was
/// skipped and `strict` is set.
pub(crate) fn run(filter: Option<&str>, strict: bool) -> Result<bool> {
    let spec = spec::find()?;
    let mut report = Report::default();

    let mut ordinary = vec!["--workspace", "--no-fail-fast"];
    ordinary.extend(filter);
    let counts = report.stage("tests", || cargo_test(&ordinary, spec.as_deref(), None));
    if filter.is_none() {
        report.stage("dependencies", check_dependencies);
    }

    let mut ignored = counts.ignored;
    let spec_tests = take(&mut ignored, "spec");
    match &spec {
        _ if spec_tests.is_empty() => {}
        Some(dir) => {
            report.stage("specification", || {
                run_ignored(&spec_tests, Some(dir), None)
            });
        }
        None => {
            let why = "the specification was not found: set MATRIX_SPEC, or run `cargo xtask spec`";
            report.skip(spec_tests, why);
        }
    }

    let browser_tests = take(&mut ignored, "chromium");
    if !browser_tests.is_empty() {
        match browser::find() {
            Ok(()) => {
                report.stage("browser", || {
                    run_ignored(&browser_tests, spec.as_deref(), None)
                });
            }
            Err(why) => report.skip(browser_tests, &why),
        }
    }

    let keyring_tests = take(&mut ignored, "secret_service");
    if !keyring_tests.is_empty() {
        match keyring::find() {
            Ok(()) => {
                report.stage("keyring", || {
                    run_ignored(&keyring_tests, spec.as_deref(), None)
                });
            }
            Err(why) => report.skip(keyring_tests, &why),
        }
    }

    let live_tests = take(&mut ignored, "live");
    if !live_tests.is_empty() {
        run_live(&mut report, live_tests, spec.as_deref());
    }
    for test in ignored {
        let why = test.reason.clone();
        report.skip(
            vec![test],
            why.as_deref()
                .unwrap_or("marked with #[ignore] without a reason"),
        );
    }
    print!("{report}");
    Ok(report.failed == 0 && (!strict || report.skipped.is_empty()))
}

fn run_live(report: &mut Report, tests: Vec<Ignored>, spec: Option<&Path>) {
    let python = match report.timed("Synapse: installing", synapse::install) {
        Ok(python) => python,
        Err(why) => return report.skip(tests, &why),
    };
    let servers = match report.timed("Synapse: starting", || servers::start(&python)) {
        Ok(servers) => servers,
        Err(error) => {
            eprintln!("xtask: {error}");
            report.failed += 1;
            return report.skip(tests, "the servers did not start");
        }
    };
    let live = Live {
        servers: servers.file(),
        python: &python,
    };
    let counts = report.stage("live", || run_ignored(&tests, spec, Some(&live)));
    servers.stop(counts.failed > 0);
}

/// Removes the tests whose path begins with this word, and returns them.
fn take(ignored: &mut Vec<Ignored>, word: &str) -> Vec<Ignored> {
    ignored
        .extract_if(.., |test| test.name.starts_with(word))
        .collect()
}

/// Runs the dependency check as a stage.
fn check_dependencies() -> TestCounts {
    match deps::check() {
        Ok(()) => TestCounts {
            passed: 1,
            ..TestCounts::default()
        },
        Err(differences) => {
            eprintln!("{differences}");
            TestCounts {
                failed: 1,
                ..TestCounts::default()
            }
        }
    }
}

/// Runs ignored tests by their exact names.
fn run_ignored(tests: &[Ignored], spec: Option<&Path>, live: Option<&Live<'_>>) -> TestCounts {
    let mut args = vec!["--workspace", "--no-fail-fast", "--test", "it", "--"];
    args.extend(["--ignored", "--exact"]);
    args.extend(tests.iter().map(|test| &*test.name));
    let mut counts = cargo_test(&args, spec, live);
    let ran = counts.passed + counts.failed;
    if ran < tests.len() && counts.failed == 0 {
        eprintln!(
            "xtask: {ran} of {} tests ran: tests of a stage must be in a test binary named `it`",
            tests.len()
        );
        counts.failed += 1;
    }
    counts
}

/// Runs `cargo test`, forwards its output and counts results. Any other failure, such as a compile
/// error, counts as one failed test.
fn cargo_test(args: &[&str], spec: Option<&Path>, live: Option<&Live<'_>>) -> TestCounts {
    let mut counts = TestCounts::default();
    let mut command = cargo();
    command
        .arg("test")
        .args(args)
        .env("CARGO_TERM_COLOR", "never");
    command.envs(spec.map(|dir| (spec::VARIABLE, dir)));
    if let Some(live) = live {
        command.env(SERVERS, live.servers).env(PYTHON, live.python);
    }
    let ended = pipe().and_then(|(output, input)| {
        // One pipe for both, so that the lines stay in order.
        let mut child = command.stdout(input.try_clone()?).stderr(input).spawn()?;
        // `command` keeps the write end of the pipe open.
        drop(command);
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            stdout().write_all(&line)?;
            counts.read(&String::from_utf8_lossy(&line));
            line.clear();
        }
        child.wait()
    });
    match ended {
        Ok(status) if status.success() => {}
        Ok(status) if counts.failed == 0 => {
            eprintln!("xtask: `cargo test` failed without a failed test: {status}");
            counts.failed += 1;
        }
        Ok(_) => {}
        Err(error) => {
            eprintln!("xtask: `cargo test` could not be run: {error}");
            counts.failed += 1;
        }
    }
    counts
}

/// The results of all stages.
#[derive(Default)]
struct Report {
    stages: Vec<(&'static str, Duration, String)>,
    passed: usize,
    failed: usize,
    skipped: Vec<(String, String)>,
}

impl Report {
    fn timed<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let outcome = work();
        self.stages.push((name, start.elapsed(), String::new()));
        outcome
    }

    fn stage(&mut self, name: &'static str, work: impl FnOnce() -> TestCounts) -> TestCounts {
        let counts = self.timed(name, work);
        self.passed += counts.passed;
        self.failed += counts.failed;
        if let Some(stage) = self.stages.last_mut() {
            stage.2 = format!("{} passed, {} failed", counts.passed, counts.failed);
        }
        counts
    }

    fn skip(&mut self, tests: Vec<Ignored>, why: &str) {
        let names = tests.into_iter().map(|test| test.name);
        self.skipped
            .extend(names.map(|name| (name, why.to_owned())));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n== stages")?;
        for (name, time, outcome) in &self.stages {
            writeln!(f, "{name:<20} {:>7.1} s  {outcome}", time.as_secs_f32())?;
        }
        if !self.skipped.is_empty() {
            writeln!(f, "\n== skipped")?;
        }
        for (index, (name, why)) in self.skipped.iter().enumerate() {
            writeln!(f, "{name}")?;
            let same_reason_follows = self
                .skipped
                .get(index + 1)
                .is_some_and(|next| next.1 == *why);
            if !same_reason_follows {
                writeln!(f, "    {}", why.replace('\n', "\n    "))?;
            }
        }
        writeln!(
            f,
            "\n{} passed, {} failed, {} skipped",
            self.passed,
            self.failed,
            self.skipped.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(name: &str) -> Ignored {
        Ignored {
            name: name.to_owned(),
            reason: None,
        }
    }

    #[test]
    fn stage_tests_are_selected_by_prefix() {
        let mut all = vec![
            ignored("live::a"),
            ignored("deliver::b"),
            ignored("live_too::c"),
        ];
        let live = take(&mut all, "live");
        assert_eq!(live, [ignored("live::a"), ignored("live_too::c")]);
        assert_eq!(all, [ignored("deliver::b")]);
    }

    #[test]
    fn report_sums_up_and_groups_reasons() {
        let mut report = Report::default();
        let counts = TestCounts {
            passed: 3,
            failed: 1,
            ignored: vec![],
        };
        report.stage("tests", || counts);
        report.stage("dependencies", || TestCounts {
            passed: 1,
            ..TestCounts::default()
        });
        report.skip(
            vec![ignored("live::a"), ignored("live::b")],
            "no python:\ninstall it",
        );
        report.skip(vec![ignored("slow")], "slow");
        let text = report.to_string();
        assert!(
            text.ends_with("\n4 passed, 1 failed, 3 skipped\n"),
            "{text}"
        );
        let skipped = "live::a\nlive::b\n    no python:\n    install it\nslow\n    slow\n";
        assert!(text.contains(skipped), "{text}");
    }
}
