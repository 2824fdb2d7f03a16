//! The Synapse servers that the live tests run against, one a profile.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use serde_json::{Map, Value};

use crate::Result;
use crate::synapse::{Leash, Profiles, Server, start as start_server, sweep};
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
    // They leave registration as it is, and so share a server.
    "appservice+logintoken+sso",
    "oauth",
];
/// Far longer than the tests take; the leash ends the servers before.
const TTL_SECONDS: u64 = 3600;

/// Running servers; dropped, they are stopped.
pub(crate) struct Servers {
    servers: Vec<Server>,
    file: PathBuf,
    keep_logs: bool,
}

/// Starts a server for each profile and writes their JSON objects, by profile, to a file.
pub(crate) fn start(python: &Path) -> Result<Servers> {
    sweep();
    let waiting = Mutex::new(PROFILES.iter());
    let started = Mutex::new(Servers {
        servers: Vec::new(),
        // Two runs may go on side by side.
        file: target().join(format!("synapse/profiles-{}.json", std::process::id())),
        keep_logs: true,
    });
    let work = || -> Result<()> {
        while let Some(profile) = next(&waiting) {
            let profiles: Profiles = profile.parse()?;
            eprintln!("starting {profile}");
            let server = start_server(python, &profiles, TTL_SECONDS, Leash::Starter)?;
            lock(&started).servers.push(server);
        }
        Ok(())
    };
    // A starting server keeps one core busy.
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
    /// The JSON objects by profile.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Stops the servers. Their logs are kept until the next server starts, if so wished.
    pub(crate) fn stop(mut self, keep_logs: bool) {
        self.keep_logs = keep_logs;
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
        for server in &self.servers {
            server.run().ask_to_end();
        }
        for server in &self.servers {
            if let Err(error) = server.run().wait_until_gone() {
                eprintln!("xtask: {error}");
            }
            if !self.keep_logs {
                server.run().remove();
            }
        }
        if self.keep_logs && !self.servers.is_empty() {
            eprintln!("what the servers logged: target/synapse/run/*/synapse.log");
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
    fn the_file_maps_each_profile_to_its_server() {
        let open = json!({ "profile": "open", "pid": 1 });
        let both = json!({ "profile": "token+terms", "pid": 2 });
        let map = by_profile([&open, &both].into_iter());
        assert_eq!(map, json!({ "open": open, "token+terms": both }));
    }

    #[test]
    fn every_profile_of_the_live_tests_exists_and_is_written_as_it_is_looked_up() {
        for profile in PROFILES {
            let parsed: Profiles = profile.parse().unwrap();
            assert_eq!(parsed.to_string(), profile);
        }
    }
}
