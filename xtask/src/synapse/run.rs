//! Run directories: what tells one server from another, and how each is ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::install::home;
use crate::Result;
use crate::workspace::output_of;

/// A server that is still starting has no state for a moment; what is older was given up.
const STARTING: Duration = Duration::from_secs(600);
/// Longer than the launcher itself waits for Synapse to close.
const STOPPING: Duration = Duration::from_secs(15);

/// One server's directory: configuration, log, database, and `server.json`, its state.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    dir: PathBuf,
    info: Value,
}

/// Where run directories are made.
pub(crate) fn parent() -> PathBuf {
    home().join("run")
}

/// Every run directory of this workspace.
pub(crate) fn all() -> Vec<Run> {
    let mut dirs: Vec<_> = fs::read_dir(parent())
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    dirs.sort();
    dirs.into_iter().map(Run::open).collect()
}

/// The run that a person named by its process id or its directory.
pub(crate) fn find(named: &str) -> Result<Run> {
    let dir = fs::canonicalize(named).ok();
    all()
        .into_iter()
        .find(|run| {
            run.pid().is_some_and(|pid| pid.to_string() == named)
                || dir.is_some() && fs::canonicalize(&run.dir).ok() == dir
        })
        .ok_or_else(|| {
            format!(
                "{named} is neither the process id nor the run directory of a server of this \
                 workspace: `cargo xtask synapse list` shows those that run"
            )
        })
}

/// Deletes what servers left that are gone.
pub(crate) fn sweep() {
    for run in all() {
        if !run.is_running() && !run.may_be_starting() {
            run.remove();
        }
    }
}

impl Run {
    /// The run in this directory; one without a readable state has none yet.
    pub(crate) fn open(dir: PathBuf) -> Self {
        let info = fs::read(dir.join("server.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or(Value::Null);
        Self { dir, info }
    }

    /// What `up` printed about this server.
    pub(crate) fn info(&self) -> &Value {
        &self.info
    }

    /// Whether the recorded process is still there, and still this server: process ids are
    /// used again, and no other process has this directory in its command line.
    pub(crate) fn is_running(&self) -> bool {
        let Some(pid) = self.pid() else { return false };
        let command = if Path::new("/proc/self").exists() {
            fs::read(format!("/proc/{pid}/cmdline"))
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .unwrap_or_default()
        } else {
            let pid = pid.to_string();
            output_of(Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid]))
                .unwrap_or_default()
        };
        command.contains(&*self.dir.to_string_lossy())
    }

    /// Asks the server to end; `wait_until_gone` sees to it.
    pub(crate) fn ask_to_end(&self) {
        self.signal("TERM");
    }

    /// Waits for the server to end, and ends it the hard way where it does not.
    pub(crate) fn wait_until_gone(&self) -> Result<()> {
        let start = Instant::now();
        while self.is_running() {
            if start.elapsed() > STOPPING + Duration::from_secs(5) {
                return Err(format!(
                    "the server in {} does not end, not even when killed",
                    self.dir.display()
                ));
            }
            if start.elapsed() > STOPPING {
                self.signal("KILL");
            }
            sleep(Duration::from_millis(20));
        }
        self.remove_database();
        Ok(())
    }

    /// Ends the server, if it runs, and deletes its directory.
    pub(crate) fn stop_and_remove(&self) -> Result<()> {
        if self.is_running() {
            self.ask_to_end();
            self.wait_until_gone()?;
            eprintln!("stopped {}", self.dir.display());
        }
        if !self.may_be_starting() {
            self.remove();
        }
        Ok(())
    }

    /// Deletes the directory and the database, wherever that is.
    pub(crate) fn remove(&self) {
        self.remove_database();
        let _ = fs::remove_dir_all(&self.dir);
    }

    fn pid(&self) -> Option<u64> {
        self.info["pid"].as_u64()
    }

    fn may_be_starting(&self) -> bool {
        let made = fs::metadata(&self.dir).and_then(|metadata| metadata.modified());
        let age = made.ok().and_then(|made| made.elapsed().ok());
        self.info.is_null() && age.is_some_and(|age| age < STARTING)
    }

    fn signal(&self, signal: &str) {
        if let Some(pid) = self.pid().filter(|_| self.is_running()) {
            // The shell's own `kill`: a small system may lack the program.
            let script = format!("kill -{signal} {pid}");
            let _ = Command::new("sh").args(["-c", &script]).output();
        }
    }

    /// The launcher deletes the database, but not when it was killed.
    fn remove_database(&self) {
        if let Ok(memory) = fs::read_link(self.dir.join("database"))
            && memory.to_string_lossy().contains("matricula-synapse-")
        {
            let _ = fs::remove_dir_all(memory);
        }
    }
}
