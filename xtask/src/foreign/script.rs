//! The scripts, and how they are run against both servers at once.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use super::home;
use super::install::Runtime;
use super::outcome::{Step, read_steps};
use super::servers::{Servers, Site};
use crate::Result;

/// The limit for one script. Each takes less than half a minute when all steps pass.
const LIMIT: Duration = Duration::from_secs(150);

/// The language of a script, which decides how it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    JavaScript,
    Python,
}

/// A script below `xtask/foreign/clients`.
pub(super) struct Script {
    pub(super) name: &'static str,
    pub(super) language: Language,
    /// Whether its outcomes are statuses and shapes.
    pub(super) is_snapshot: bool,
}

pub(super) const SCRIPTS: [Script; 7] = [
    client("js_sdk", Language::JavaScript),
    client("js_sdk_rooms", Language::JavaScript),
    client("js_sdk_crypto", Language::JavaScript),
    client("bot_sdk", Language::JavaScript),
    client("nio_client", Language::Python),
    client("mautrix_client", Language::Python),
    Script {
        name: "endpoints",
        language: Language::Python,
        is_snapshot: true,
    },
];

const fn client(name: &'static str, language: Language) -> Script {
    Script {
        name,
        language,
        is_snapshot: false,
    }
}

impl Script {
    /// Runs the script against both servers at once. Returns its steps for each.
    pub(super) fn run(&self, runtime: &Runtime, servers: &Servers) -> Result<[Vec<Step>; 2]> {
        let [ours, synapse] = scope(|scope| {
            let run = |site| scope.spawn(move || self.run_against(site, runtime));
            let [ours, synapse] = &servers.sites;
            [run(ours), run(synapse)].map(|thread| {
                let joined = thread.join();
                joined.unwrap_or_else(|_| Err("a thread panicked".to_owned()))
            })
        });
        Ok([ours?, synapse?])
    }

    fn run_against(&self, site: &Site, runtime: &Runtime) -> Result<Vec<Step>> {
        let (file, first): (_, &[&str]) = match self.language {
            Language::JavaScript => (format!("{}.mjs", self.name), &[]),
            Language::Python => (format!("{}.py", self.name), &["-B"]),
        };
        let log = home().join(format!("logs/{}.{}.log", self.name, site.name));
        let errors = File::create(&log)
            .map_err(|error| format!("{} cannot be written: {error}", log.display()))?;
        let mut command = Command::new(&runtime.program);
        command
            .args(first)
            .arg(runtime.scripts.join(&file))
            .env("MATRIX_URL", &site.url)
            .env("MATRIX_APPSERVICE_BOT", site.services["bot"].to_string())
            .env(
                "MATRIX_APPSERVICE_MAUTRIX",
                site.services["mautrix"].to_string(),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        let started = command.spawn();
        let mut child = started.map_err(|error| format!("{file} could not be run: {error}"))?;
        let mut stdout = child.stdout.take();
        let mut text = String::new();
        scope(|scope| {
            let reader = scope.spawn(|| {
                let read = stdout
                    .as_mut()
                    .map(|stdout| stdout.read_to_string(&mut text));
                read.transpose()
            });
            stop_late(&mut child, &file);
            reader.join()
        })
        .map_err(|_| "a thread panicked".to_owned())?
        .map_err(|error| format!("the output of {file} cannot be read: {error}"))?;
        read_steps(&text).map_err(|error| format!("{file}: {error}"))
    }
}

/// Waits for the process, and kills it at the limit.
fn stop_late(child: &mut Child, file: &str) {
    let start = Instant::now();
    while let Ok(None) = child.try_wait() {
        if start.elapsed() > LIMIT {
            eprintln!("{file} did not end within {} s", LIMIT.as_secs());
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        sleep(Duration::from_millis(50));
    }
}
