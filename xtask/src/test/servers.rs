//! The Synapse servers of the live tests, one per profile.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use serde_json::{Map, Value};

use crate::Result;
use crate::synapse::{Lifetime, Profiles, Server, remove_stale, start as start_server};
use crate::workspace::target;

const PROFILES: [&str; 18] = [
    "open",
    "token",
    "terms",
    "token+terms",
    "guests",
    "refresh",
    "shortlived",
    "ratelimited",
    "token+paced",
    "closed",
    "policy",
    "email",
    "email-optional",
    "msisdn",
    "recaptcha",
    "token+terms+email+msisdn+recaptcha",
    // These do not change registration, so they share a server.
    "appservice+logintoken+sso",
    "oauth",
];
/// Much longer than the tests take. Normally the servers end with this process.
const TTL_SECONDS: u64 = 3600;

/// Running servers, which are stopped on drop.
pub(crate) struct Servers {
    servers: Vec<Server>,
    file: PathBuf,
    keep_logs: bool,
}

/// Starts a server for each profile, and writes a file that describes them.
pub(crate) fn start(python: &Path) -> Result<Servers> {
    remove_stale();
    let waiting = Mutex::new(PROFILES.iter());
    let started = Mutex::new(Servers {
        servers: Vec::new(),
        // Two test runs may be active at once.
        file: target().join(format!("synapse/profiles-{}.json", std::process::id())),
        keep_logs: true,
    });
    let work = || -> Result<()> {
        while let Some(profile) = next(&waiting) {
            let profiles: Profiles = profile.parse()?;
            eprintln!("starting {profile}");
            let server = start_server(python, &profiles, TTL_SECONDS, Lifetime::ParentProcess)?;
            lock(&started).servers.push(server);
        }
        Ok(())
    };
    // A server that starts needs one core.
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut ends = workers.into_iter().map(|worker| worker.join());
        ends.try_for_each(|end| end.unwrap_or_else(|_| Err("a thread panicked".to_owned())))
    })?;
    let servers = started
        .into_inner()
        .unwrap_or_else(|poison| poison.into_inner());
    let objects = servers.servers.iter().map(Server::info);
    fs::write(servers.file(), format!("{:#}\n", by_profile(objects)))
        .map_err(|error| format!("{} cannot be written: {error}", servers.file().display()))?;
    Ok(servers)
}

impl Servers {
    /// The file with a JSON object per profile.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Stops the servers. With `keep_logs`, their logs stay until the next server starts.
    pub(crate) fn stop(mut self, keep_logs: bool) {
        self.keep_logs = keep_logs;
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
        for server in &self.servers {
            server.run().terminate();
        }
        for server in &self.servers {
            if let Err(error) = server.run().wait_until_ended() {
                eprintln!("xtask: {error}");
            }
            if !self.keep_logs {
                server.run().remove();
            }
        }
        if self.keep_logs && !self.servers.is_empty() {
            eprintln!("logs of the servers: target/synapse/run/*/synapse.log");
        }
    }
}

fn by_profile<'a>(objects: impl Iterator<Item = &'a Value>) -> Value {
    let named = |object: &Value| {
        (
            object["profile"].as_str().unwrap_or_default().to_owned(),
            object.clone(),
        )
    };
    Value::Object(objects.map(named).collect::<Map<_, _>>())
}

fn next<'a>(waiting: &Mutex<impl Iterator<Item = &'a &'static str>>) -> Option<&'static str> {
    lock(waiting).next().copied()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn file_maps_profiles_to_servers() {
        let open = json!({ "profile": "open", "pid": 1 });
        let both = json!({ "profile": "token+terms", "pid": 2 });
        let map = by_profile([&open, &both].into_iter());
        assert_eq!(map, json!({ "open": open, "token+terms": both }));
    }

    #[test]
    fn live_profiles_are_valid_and_canonical() {
        for profile in PROFILES {
            let parsed: Profiles = profile.parse().unwrap();
            assert_eq!(parsed.to_string(), profile);
        }
    }
}
