//! The two servers: the embedded homeserver and Synapse, with the same application services and options.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::home;
use crate::synapse::{self, Lifetime, Server as Synapse, remove_stale};
use crate::test_service::TestService;
use crate::workspace::random_hex;
use crate::{Result, embedded};

/// Longer than all clients take. Normally the servers end with this process.
const TTL_SECONDS: u64 = 900;

/// The running servers, which are stopped on drop.
pub(super) struct Servers {
    embedded: Child,
    synapse: Synapse,
    /// What the scripts need to know about the embedded homeserver and Synapse.
    pub(super) sites: [Site; 2],
}

/// A server from the view of the scripts.
pub(super) struct Site {
    pub(super) name: &'static str,
    pub(super) url: String,
    pub(super) services: Value,
}

impl Servers {
    pub(super) fn start() -> Result<Self> {
        embedded::build()?;
        remove_stale();
        let python = synapse::install()?;
        let profiles = "clients".parse()?;
        let synapse = synapse::start(&python, &profiles, TTL_SECONDS, Lifetime::ParentProcess)?;
        let services = TestService::all()?;
        let (embedded, url) = start_embedded(&services)?;
        let info = synapse.info();
        let sites = [
            Site {
                name: "matricula",
                url,
                services: TestService::describe(&services),
            },
            Site {
                name: "synapse",
                url: info["base_url"].as_str().unwrap_or_default().to_owned(),
                services: info["services"].clone(),
            },
        ];
        Ok(Self {
            embedded,
            synapse,
            sites,
        })
    }
}

/// Starts the embedded homeserver. Returns its process, which stops when its standard input is closed,
/// and its URL.
fn start_embedded(services: &[TestService]) -> Result<(Child, String)> {
    let config = json!({
        "server_name": "clients.test",
        "guests": true,
        "turn": { "uris": ["turn:127.0.0.1:3478"], "shared_secret": random_hex(24)? },
        "application_services": services.iter().map(TestService::configuration).collect::<Vec<_>>(),
    });
    let directory = home().join("logs");
    let file = home().join("matricula.json");
    let log = fs::create_dir_all(&directory)
        .and_then(|()| fs::write(&file, config.to_string()))
        .and_then(|()| File::create(directory.join("matricula.log")))
        .map_err(|error| format!("{} cannot be written: {error}", home().display()))?;
    let failed = |what: &str| {
        let log = directory.join("matricula.log");
        let text = fs::read_to_string(log).unwrap_or_default();
        format!("the embedded homeserver did not start: {what}\n{text}")
    };
    let mut child = Command::new(embedded::program())
        .arg(&file)
        .arg("127.0.0.1:0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|error| failed(&error.to_string()))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        // It prints one line, or ends.
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    if line.trim().is_empty() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed("it printed no address"));
    }
    Ok((child, line.trim().trim_end_matches('/').to_owned()))
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.embedded.stdin.take());
        self.synapse.run().terminate();
        if let Err(error) = self.synapse.run().wait_until_ended() {
            eprintln!("xtask: {error}");
        }
        let _ = self.embedded.wait();
    }
}
