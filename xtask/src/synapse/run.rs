//! Run directories: finding, stopping and removing servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::install::synapse_dir;
use crate::Result;
use crate::workspace::output_of;

/// A directory without state that is younger than this may belong to a server that is starting.
const START_LIMIT: Duration = Duration::from_secs(600);
/// How long to wait for a server to stop; longer than the launcher waits for Synapse.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// The directory of a server: configuration, log, database, and its state in `server.json`.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    dir: PathBuf,
    info: Value,
}

/// The parent of all run directories.
pub(crate) fn parent() -> PathBuf {
    synapse_dir().join("run")
}

/// Every run directory of this workspace.
pub(crate) fn all() -> Vec<Run> {
    let mut dirs: Vec<_> = fs::read_dir(parent())
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    dirs.sort();
    dirs.into_iter().map(Run::open).collect()
}

/// Finds a run by process id or directory.
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
                 workspace: `cargo xtask synapse list` shows the running servers"
            )
        })
}

/// Deletes the directories of servers that have ended.
pub(crate) fn remove_stale() {
    for run in all() {
        if !run.is_running() && !run.may_be_starting() {
            run.remove();
        }
    }
}

impl Run {
    /// The run in this directory. Its state is null if it cannot be read yet.
    pub(crate) fn open(dir: PathBuf) -> Self {
        let info = fs::read(dir.join("server.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or(Value::Null);
        Self { dir, info }
    }

    /// The JSON object that `up` printed.
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

    /// Sends the signal to stop. [`Self::wait_until_ended`] waits for it.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Waits until the server has stopped, and kills it after a time limit.
    pub(crate) fn wait_until_ended(&self) -> Result<()> {
        let start = Instant::now();
        while self.is_running() {
            if start.elapsed() > STOP_LIMIT + Duration::from_secs(5) {
                return Err(format!(
                    "the server in {} does not stop, even after SIGKILL",
                    self.dir.display()
                ));
            }
            if start.elapsed() > STOP_LIMIT {
                self.signal("KILL");
            }
            sleep(Duration::from_millis(20));
        }
        self.remove_database();
        Ok(())
    }

    /// Stops the server if it runs, and deletes its directory.
    pub(crate) fn stop_and_remove(&self) -> Result<()> {
        if self.is_running() {
            self.terminate();
            self.wait_until_ended()?;
            eprintln!("stopped {}", self.dir.display());
        }
        if !self.may_be_starting() {
            self.remove();
        }
        Ok(())
    }

    /// Deletes the directory and the database.
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
        self.info.is_null() && age.is_some_and(|age| age < START_LIMIT)
    }

    fn signal(&self, signal: &str) {
        if let Some(pid) = self.pid().filter(|_| self.is_running()) {
            // The shell's built-in `kill`: a small system may lack the program.
            let script = format!("kill -{signal} {pid}");
            let _ = Command::new("sh").args(["-c", &script]).output();
        }
    }

    /// Deletes the database if the launcher was killed before it could.
    fn remove_database(&self) {
        if let Ok(memory) = fs::read_link(self.dir.join("database"))
            && memory.to_string_lossy().contains("matricula-synapse-")
        {
            let _ = fs::remove_dir_all(memory);
        }
    }
}
