//! Starts a server and waits until it responds.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::configuration::{ServerSettings, TERMS, configuration};
use super::fakes::{APPSERVICE_FILE, Fakes, SESSIONLESS_FILE, free_ports};
use super::profile::{Profile, Profiles};
use super::run::{self, Run};
use super::{accounts, delegate, http};
use crate::Result;
use crate::workspace::{random_hex, root};

/// The limit for a start. It takes two seconds on an idle machine.
const START: Duration = Duration::from_secs(120);
const ATTEMPTS: usize = 5;

/// What ends a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// It runs until it is stopped or its time limit is reached.
    Ttl,
    /// It also ends when the process that started it ends.
    ParentProcess,
}

/// A running server.
pub(crate) struct Server {
    run: Run,
    /// Keeps its standard input open: the server ends when it is closed.
    _child: Child,
}

impl Server {
    /// Its address and credentials.
    pub(crate) fn info(&self) -> &Value {
        self.run.info()
    }

    /// Its directory and process.
    pub(crate) fn run(&self) -> &Run {
        &self.run
    }
}

/// Starts a server that runs for at most `ttl` seconds.
pub(crate) fn start(
    python: &Path,
    profiles: &Profiles,
    ttl: u64,
    lifetime: Lifetime,
) -> Result<Server> {
    delegate::build(profiles)?;
    let mut taken = String::new();
    for _ in 0..ATTEMPTS {
        match Starting::new(python, profiles, ttl, lifetime)?.finish(python, profiles) {
            Ok(server) => return Ok(server),
            Err(Failure::PortTaken(log)) => taken = log,
            Err(Failure::Other(message)) => return Err(message),
        }
    }
    Err(format!(
        "another program took the free port in each of {ATTEMPTS} attempts; \
         the end of the last log:\n{taken}"
    ))
}

enum Failure {
    PortTaken(String),
    Other(String),
}

/// A server whose process runs, but does not respond yet. It is stopped on drop.
struct Starting {
    child: Option<Child>,
    dir: PathBuf,
    port: u16,
    shared_secret: String,
    fakes: Fakes,
}

impl Starting {
    fn new(python: &Path, profiles: &Profiles, ttl: u64, lifetime: Lifetime) -> Result<Self> {
        let dir = run::parent().join(format!("{profiles}-{}", random_hex(4)?));
        create_private_dir(&dir)?;
        let [port, mail_port, web_port] = free_ports()?;
        let mut starting = Self {
            child: None,
            dir,
            port,
            shared_secret: random_hex(24)?,
            fakes: Fakes::new(mail_port, web_port)?,
        };
        starting.write_files(profiles)?;
        starting.spawn(python, ttl, lifetime)?;
        Ok(starting)
    }

    fn write_files(&self, profiles: &Profiles) -> Result<()> {
        let config = configuration(&ServerSettings {
            profiles,
            port: self.port,
            run_dir: &self.dir,
            shared_secret: &self.shared_secret,
            inner_secret: &random_hex(24)?,
            fakes: &self.fakes,
        });
        write(&self.dir.join("homeserver.yaml"), &format!("{config:#}\n"))?;
        let settings = self.fakes.settings(profiles, &self.dir, self.port);
        write(&self.dir.join("fakes.json"), &format!("{settings:#}\n"))?;
        if profiles.has(Profile::Oauth) {
            let config = delegate::configuration(profiles, self.port, &self.fakes);
            write(&self.dir.join(delegate::FILE), &format!("{config:#}\n"))?;
        }
        if profiles.has(Profile::Appservice) {
            for (file, registration) in [
                (APPSERVICE_FILE, self.fakes.registration()),
                (SESSIONLESS_FILE, self.fakes.sessionless_registration()),
            ] {
                write(&self.dir.join(file), &format!("{registration:#}\n"))?;
            }
        }
        if profiles.has(Profile::Clients) {
            for service in &self.fakes.services {
                let registration = format!("{:#}\n", service.registration());
                write(&self.dir.join(service.file()), &registration)?;
            }
        }
        if profiles.has(Profile::Terms) {
            for (name, page) in TERMS {
                write(&self.dir.join(name), page)?;
            }
        }
        Ok(())
    }

    fn spawn(&mut self, python: &Path, ttl: u64, lifetime: Lifetime) -> Result<()> {
        let mut command = Command::new(python);
        // -I: ignore the Python settings of the user's environment.
        command
            .arg("-I")
            .arg(root().join("xtask/synapse/launch.py"));
        command.arg(&self.dir).args(["--ttl", &ttl.to_string()]);
        if lifetime == Lifetime::ParentProcess {
            command.arg("--stop-with-parent").stdin(Stdio::piped());
        } else {
            command.stdin(Stdio::null());
        }
        let log = File::create(self.log())
            .and_then(|log| Ok((log.try_clone()?, log)))
            .map_err(|error| format!("{} cannot be written: {error}", self.log().display()))?;
        let child = command
            .stdout(log.0)
            .stderr(log.1)
            .spawn()
            .map_err(|error| format!("{} could not be started: {error}", python.display()))?;
        let pid = child.id();
        self.child = Some(child);
        self.write_state(&json!({ "pid": pid, "run_dir": self.dir }))
    }

    fn finish(
        mut self,
        python: &Path,
        profiles: &Profiles,
    ) -> std::result::Result<Server, Failure> {
        self.wait_until_ready(self.port)?;
        let mut admin = Value::Null;
        if profiles.has(Profile::Oauth) {
            self.wait_until_ready(self.fakes.web_port)?;
        } else {
            let made = accounts::create_admin(python, self.port, &self.shared_secret);
            admin = made.map_err(|error| self.explain(&error))?;
        }
        let mut info = json!({
            "profile": profiles.to_string(),
            "base_url": format!("http://127.0.0.1:{}", self.port),
            "server_name": profiles.server_name(),
            "pid": self.child.as_ref().map(Child::id),
            "run_dir": self.dir,
            "log": self.log(),
            "shared_secret": self.shared_secret,
            "admin": admin,
        });
        self.fakes.describe(&mut info, profiles, &self.dir);
        if profiles.has(Profile::Token) {
            let tokens = accounts::create_registration_tokens(self.port, &admin);
            info["registration_tokens"] = tokens.map_err(Failure::Other)?;
        }
        if profiles.has(Profile::Shortlived) {
            // It expires before it can be used; the password stays valid.
            info["admin"]["access_token"].take();
        }
        self.write_state(&info).map_err(Failure::Other)?;
        let child = self.child.take();
        let child = child.ok_or_else(|| Failure::Other("the server was stopped".to_owned()))?;
        Ok(Server {
            run: Run::open(self.dir.clone()),
            _child: child,
        })
    }

    fn wait_until_ready(&mut self, port: u16) -> std::result::Result<(), Failure> {
        let start = Instant::now();
        while start.elapsed() < START {
            if self.has_ended() {
                return Err(self.explain("Synapse ended during the start"));
            }
            if let Ok((200, body)) = http::call(port, "GET", "/_matrix/client/versions", None, None)
                && body["versions"].is_array()
            {
                return Ok(());
            }
            sleep(Duration::from_millis(50));
        }
        let waited = START.as_secs();
        Err(self.explain(&format!("Synapse did not respond within {waited} seconds")))
    }

    /// The reason of a failed start. If another server has taken the port, our server ends, and its
    /// log says so.
    fn explain(&mut self, error: &str) -> Failure {
        let start = Instant::now();
        while !self.has_ended() && start.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        if log.contains("Address already in use") {
            Failure::PortTaken(tail)
        } else {
            let log = self.log();
            Failure::Other(format!("{error}; the end of {}:\n{tail}", log.display()))
        }
    }

    fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    fn log(&self) -> PathBuf {
        self.dir.join("synapse.log")
    }

    /// Writes `server.json` atomically.
    fn write_state(&self, info: &Value) -> Result<()> {
        let state = self.dir.join("server.json");
        let new = self.dir.join("server.json.new");
        write(&new, &info.to_string())?;
        fs::rename(new, &state)
            .map_err(|error| format!("{} cannot be written: {error}", state.display()))
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let run = Run::open(self.dir.clone());
            run.terminate();
            let _ = run.wait_until_ended();
            // The process id may not be recorded yet.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Creates a directory for secrets, accessible only to the user.
fn create_private_dir(dir: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .map_err(|error| format!("{} cannot be created: {error}", dir.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
