//! The built command, run in a home of its own and watched until it ends.

use std::{
    fmt, fs,
    io::{Read, Write},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tempfile::TempDir;

/// Far longer than any of these commands takes, and short enough for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home directory: the accounts, and the files that options name.
pub(crate) struct Home {
    root: TempDir,
    files: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self {
            root: TempDir::new().unwrap(),
            files: TempDir::new().unwrap(),
        };
        fs::create_dir(home.root().join("tmp")).unwrap();
        home
    }

    /// Everything that the command may write to; `matricula` in it is `MATRICULA_HOME`.
    pub(crate) fn root(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap()
    }

    pub(crate) fn matricula(&self) -> PathBuf {
        self.root().join("matricula")
    }

    /// A file in the directory that commands are typed in.
    pub(crate) fn file(&self, name: &str, content: &str) {
        fs::write(self.files.path().join(name), content).unwrap();
    }

    /// The directory that commands are typed in.
    pub(crate) fn files(&self) -> PathBuf {
        self.files.path().canonicalize().unwrap()
    }

    /// What the account store holds.
    pub(crate) fn store(&self) -> Value {
        let text = fs::read(self.matricula().join("accounts.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// The only account in the store.
    pub(crate) fn account(&self) -> Value {
        only(&self.store()["tables"]["accounts"]).1
    }

    /// The id of the only half-done registration in the store.
    pub(crate) fn registration(&self) -> String {
        only(&self.store()["tables"]["registrations"]).0
    }

    /// A command line to be run, its words separated by spaces.
    pub(crate) fn command(&self, line: &str) -> Line {
        let mut command = Command::new(env!("CARGO_BIN_EXE_matricula"));
        command
            .args(line.split_whitespace())
            .current_dir(self.files.path())
            // Nothing of the machine that runs the tests: no proxy, no colours, no other home.
            .env_clear()
            .env("HOME", self.root())
            .env("TMPDIR", self.root().join("tmp"))
            .env("MATRICULA_HOME", self.matricula());
        Line {
            command,
            stdin: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// Runs a command line.
    pub(crate) fn run(&self, line: &str) -> Ended {
        self.command(line).run()
    }
}

fn only(table: &Value) -> (String, Value) {
    let table = table.as_object().unwrap();
    assert_eq!(table.len(), 1, "{table:#?}");
    let (key, value) = table.iter().next().unwrap();
    (key.clone(), value.clone())
}

/// A command line that is about to be run.
pub(crate) struct Line {
    command: Command,
    stdin: Vec<u8>,
    patience: Duration,
}

impl Line {
    /// One more word, which may have spaces in it.
    pub(crate) fn word(mut self, word: &str) -> Self {
        self.command.arg(word);
        self
    }

    /// It may take this long, not a minute.
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) fn stdin(mut self, text: &str) -> Self {
        self.stdin = text.as_bytes().to_vec();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn run(self) -> Ended {
        self.run_while(|_| {})
    }

    /// Runs it and calls `watch` with its process id over and over until it ends; for the first time
    /// before there is anything on its standard input.
    pub(crate) fn run_while(mut self, mut watch: impl FnMut(u32)) -> Ended {
        let mut running = self.spawn();
        running.wait_for_command_line();
        watch(running.child.id());
        running.feed(&self.stdin);
        let start = Instant::now();
        let mut peak = 0;
        let status = loop {
            watch(running.child.id());
            peak = peak.max(resident_peak(running.child.id()));
            if let Some(status) = running.child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > self.patience {
                running.child.kill().unwrap();
                let ended = running.end(peak, start.elapsed());
                panic!("still running after {:?}\n{ended}", self.patience);
            }
            thread::sleep(Duration::from_millis(2));
        };
        let ended = running.end(peak, start.elapsed());
        assert_eq!(ended.status, status);
        ended
    }

    /// Starts it and does not wait.
    pub(crate) fn start(mut self) -> Running {
        let mut running = self.spawn();
        running.feed(&self.stdin);
        running
    }

    fn spawn(&mut self) -> Running {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
        Running {
            child,
            stdout,
            stderr,
        }
    }
}

fn reader<R: Read + Send + 'static>(from: Option<R>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// The most memory that a process has had so far, in KiB; 0 where the system does not tell.
fn resident_peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    stdout: thread::JoinHandle<Vec<u8>>,
    stderr: thread::JoinHandle<Vec<u8>>,
}

impl Running {
    /// Waits until the system shows the words it was started with: for a moment after it has become
    /// the new program there are none.
    fn wait_for_command_line(&mut self) {
        let shown = format!("/proc/{}/cmdline", self.child.id());
        while fs::read(&shown).is_ok_and(|line| line.is_empty())
            && self.child.try_wait().unwrap().is_none()
        {
            thread::yield_now();
        }
    }

    fn feed(&mut self, text: &[u8]) {
        // Who does not read its input is none the worse for it.
        let _ = self.child.stdin.take().unwrap().write_all(text);
    }

    /// Ends it as `kill -9` does, and returns what it had said.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.end(0, Duration::ZERO)
    }

    /// Presses Ctrl-C, and waits until it has ended.
    #[cfg(unix)]
    pub(crate) fn interrupt(self) -> Ended {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &process]).status();
        assert!(sent.unwrap().success());
        self.end(0, Duration::ZERO)
    }

    fn end(mut self, peak_kib: u64, took: Duration) -> Ended {
        let text = |bytes: thread::JoinHandle<Vec<u8>>| {
            String::from_utf8(bytes.join().unwrap()).expect("what is printed is UTF-8")
        };
        Ended {
            status: self.child.wait().unwrap(),
            stdout: text(self.stdout),
            stderr: text(self.stderr),
            peak_kib,
            took,
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) peak_kib: u64,
    pub(crate) took: Duration,
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The same, if it ended with this exit code.
    #[track_caller]
    pub(crate) fn exit(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }

    /// The one JSON object on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self}");
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"));
        assert_eq!(value["schema_version"], 1, "{self}");
        value
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stdout, stderr, .. } = self;
        write!(f, "{}\nout: {stdout}\nerr: {stderr}", self.status)
    }
}

/// A unique word, for user names and for secrets.
pub(crate) fn unique(start: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let process = std::process::id();
    format!("{start}{:x}-{process:x}-{count:x}", now.as_millis())
}
