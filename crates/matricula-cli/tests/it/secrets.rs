//! No secret is in what the command prints or logs, in any command line, or in any file but the
//! account store.
//!
//! Each profile is run on the embedded homeserver here, and on a real Synapse in `live::secrets`.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    command::{Home, unique},
    secret_scanner::Canary,
    server,
    servers::{PROFILES, Site},
};

/// A home in which all that could give a secret away is collected.
struct Watched {
    home: Home,
    canaries: Vec<Canary>,
    /// What was printed.
    seen: String,
    command_lines: BTreeSet<Vec<u8>>,
}

impl Watched {
    fn new() -> Self {
        Self {
            home: Home::new(),
            canaries: Vec::new(),
            seen: String::new(),
            command_lines: BTreeSet::new(),
        }
    }

    /// Makes up a password that every encoding changes and every policy likes.
    fn password(&mut self) -> String {
        let password = format!("{}-\"Pä55\"/\\+&=?% ~", unique("w"));
        self.canaries.push(Canary::new("password", &password));
        password
    }

    /// Runs a command at trace level, and takes the secrets that it kept into account.
    fn run(&mut self, line: &str, stdin: &str) -> Option<i32> {
        let line = format!("{line} --log trace");
        let command_lines = &mut self.command_lines;
        let ended = self
            .home
            .command(&line)
            .stdin(stdin)
            .run_while(|_| watch(command_lines));
        self.seen += &format!("{line}\n{ended}\n");
        if self.store().exists() {
            let store = self.home.store();
            collect(&store, &mut self.canaries);
        }
        ended.code()
    }

    fn store(&self) -> PathBuf {
        self.home.matricula().join("accounts.json")
    }

    #[track_caller]
    fn assert_clean(&self) {
        assert!(
            self.seen.contains("DEBUG"),
            "nothing was logged, so nothing is shown: {}",
            self.seen
        );
        let ours = env!("CARGO_BIN_EXE_matricula").as_bytes();
        assert!(
            self.command_lines.iter().any(|line| line.starts_with(ours)),
            "no command line was seen, so nothing is shown"
        );
        for canary in &self.canaries {
            self.assert_absent(canary, self.seen.as_bytes(), Path::new("the output"));
            for line in &self.command_lines {
                self.assert_absent(canary, line, Path::new("a command line"));
            }
            for file in files(&self.home.root()) {
                if file != self.store() {
                    self.assert_absent(canary, &fs::read(&file).unwrap(), &file);
                }
            }
        }
        if self.store().exists() {
            assert_eq!(fs::metadata(self.store()).unwrap().mode() & 0o777, 0o600);
            assert_eq!(
                fs::metadata(self.home.matricula()).unwrap().mode() & 0o777,
                0o700
            );
        }
    }

    #[track_caller]
    fn assert_absent(&self, canary: &Canary, text: &[u8], place: &Path) {
        if let Some(how) = canary.seen_in(text) {
            panic!(
                "{how}, is in {}\n{}",
                place.display(),
                String::from_utf8_lossy(text)
            );
        }
    }
}

/// Adds the command lines of all processes.
fn watch(command_lines: &mut BTreeSet<Vec<u8>>) {
    for process in fs::read_dir("/proc").unwrap().flatten() {
        // A process may be gone by now.
        if let Ok(line) = fs::read(process.path().join("cmdline")) {
            command_lines.insert(line);
        }
    }
}

/// Adds all secrets of a store.
fn collect(value: &Value, canaries: &mut Vec<Canary>) {
    let inner: Vec<&Value> = match value {
        Value::Object(object) => {
            for key in ["password", "token", "access_token", "refresh_token"] {
                if let Some(Value::String(secret)) = object.get(key) {
                    canaries.push(Canary::new(key, secret));
                }
            }
            object.values().collect()
        }
        Value::Array(list) => list.iter().collect(),
        _ => Vec::new(),
    };
    for value in inner {
        collect(value, canaries);
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(self::files(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}

/// Registers in the way that a profile wants it, and does all that can be done with the account.
pub(crate) fn nowhere(profile: &str, sites: fn(&str) -> Site) {
    let site = sites(profile);
    let mut watched = Watched::new();
    let password = watched.password();
    if let Some(token) = site.tokens.get("unlimited") {
        watched
            .canaries
            .push(Canary::new("registration token", token));
        watched.home.file("unlimited", token);
    }
    watched.home.file("password", &password);
    let (name, url) = (unique("n"), &site.url);
    let line = format!("register {url} --username {name} --password-stdin");
    let with = match profile {
        "token" => " --token-file unlimited",
        "terms" => " --accept-terms",
        "token+terms" => " --token-file unlimited --accept-terms",
        _ => "",
    };
    if profile == "closed" {
        assert_eq!(watched.run(&line, &password), Some(7));
        return watched.assert_clean();
    }
    if !with.is_empty() {
        // Half-done, it is in the store as well, with all that was said.
        assert_eq!(watched.run(&line, &password), Some(6));
        let id = watched.home.registration();
        assert_eq!(
            watched.run(&format!("register --resume {id}{with}"), ""),
            Some(0)
        );
    } else {
        let code = watched.run(&format!("{line} --refresh-token --json"), &password);
        assert_eq!(code, Some(0), "{}", watched.seen);
    }
    assert_eq!(watched.run("whoami", ""), Some(0));
    let renewed = watched.run("refresh --json", "");
    assert!(matches!(renewed, Some(0 | 4)), "{}", watched.seen);
    assert_eq!(watched.run("logout", ""), Some(0));
    let line = format!(
        "login @{name}:{} --server {url} --password-file password",
        site.name
    );
    assert_eq!(watched.run(&line, ""), Some(0));
    if profile == "guests" {
        assert_eq!(watched.run(&format!("register {url} --guest"), ""), Some(0));
    }
    if profile == "open" {
        changes(&format!("@{name}:{}", site.name), &mut watched);
    }
    refusals(profile, &site, &mut watched);
    watched.assert_clean();
}

/// New passwords are secrets like the first one: those that were typed, those that were made, and those
/// that were refused.
fn changes(user_id: &str, watched: &mut Watched) {
    let change = format!("account password --no-input --account {user_id}");
    let new = watched.password();
    watched.home.file("new", &new);
    let line = format!("{change} --password-file password --new-password-file new");
    assert_eq!(watched.run(&format!("{line} --dry-run"), ""), Some(0));
    assert_eq!(watched.run(&line, ""), Some(0), "{}", watched.seen);
    let wrong = watched.password();
    let line = format!("{change} --password-stdin");
    assert_eq!(watched.run(&line, &wrong), Some(4), "{}", watched.seen);
    assert_eq!(watched.run(&line, &new), Some(0), "{}", watched.seen);
    // The generated password is stored, and can be changed.
    assert_eq!(watched.run(&change, ""), Some(0), "{}", watched.seen);
}

/// What is refused is a secret too.
fn refusals(profile: &str, site: &Site, watched: &mut Watched) {
    if site.tokens.is_empty() {
        // Made here, and only ever shown to the server.
        let with = if profile == "terms" {
            "--accept-terms"
        } else {
            ""
        };
        assert_eq!(
            watched.run(&format!("register {} {with}", site.url), ""),
            Some(0)
        );
    } else {
        let wrong = unique("no-such-token-");
        watched.canaries.push(Canary::new("wrong token", &wrong));
        let line = format!("register {} --token-stdin --accept-terms", site.url);
        assert_eq!(watched.run(&line, &wrong), Some(7));
    }
    if profile == "policy" {
        let weak = unique("weak");
        watched.canaries.push(Canary::new("weak password", &weak));
        let line = format!(
            "register {} --username {} --password-stdin",
            site.url,
            unique("n")
        );
        assert_eq!(watched.run(&line, &weak), Some(7));
    }
    if profile == "open" {
        let line = format!(
            "login @admin:{} --server {} --password-stdin",
            site.name, site.url
        );
        let wrong = watched.password();
        assert_eq!(watched.run(&line, &wrong), Some(4));
        let line = format!(
            "register {} --username x --password-stdin --dry-run",
            site.url
        );
        assert_eq!(watched.run(&line, &wrong), Some(0));
        assert!(watched.seen.contains("***"), "{}", watched.seen);
        calls(site, watched);
    }
}

/// Any operation may be called with secrets, and answer with some.
fn calls(site: &Site, watched: &mut Watched) {
    let wrong = watched.password();
    watched.home.file("wrong", &wrong);
    let id = format!(
        "{{\"type\":\"m.id.user\",\"user\":\"@admin:{}\"}}",
        site.name
    );
    let call = format!(
        "api call login --server {} type=m.login.password identifier:={id}",
        site.url
    );
    for given in ["password=@-", "password=@wrong"] {
        assert_eq!(watched.run(&format!("{call} {given}"), &wrong), Some(7));
    }
    let json = format!("{{\"password\": {}}}", Value::from(wrong.as_str()));
    assert_eq!(
        watched.run(&format!("{call} --json-body -"), &json),
        Some(7)
    );
    let dry = format!("{call} password=@- --dry-run --json");
    assert_eq!(watched.run(&dry, &wrong), Some(0));
    assert_eq!(watched.run("api call getTokenOwner --json", ""), Some(0));
}

#[test]
fn are_nowhere_on_the_embedded_homeserver() {
    for profile in PROFILES {
        nowhere(profile, Site::embedded);
    }
}

/// The private homeserver keeps its data beside the account store.
#[test]
fn are_nowhere_in_the_private_homeserver() {
    let mut watched = Watched::new();
    let password = watched.password();
    let line = "register --username alice --password-stdin --refresh-token";
    assert_eq!(watched.run(line, &password), Some(0), "{}", watched.seen);
    assert_eq!(watched.run("whoami", ""), Some(0));
    assert_eq!(watched.run("refresh", ""), Some(0));
    assert_eq!(watched.run("register --json", ""), Some(0));
    assert_eq!(watched.run("logout", ""), Some(0));
    assert_eq!(watched.run("login", ""), Some(0));
    assert_eq!(watched.run("account password --no-input", ""), Some(0));
    let line = "account deactivate --no-input --yes";
    assert_eq!(watched.run(line, ""), Some(0), "{}", watched.seen);
    watched.assert_clean();
}

/// A server that shares a secret, and one that knows an application service.
#[test]
fn administrator_secrets_are_never_printed() {
    let registered = |user_id: &str| {
        let token = "syt_token-that-is-not-short";
        let answer =
            serde_json::json!({ "user_id": user_id, "access_token": token, "device_id": "D" });
        server::object(200, answer)
    };
    let server = server::Server::start(move |request| {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/_synapse/admin/v1/register") => {
                server::object(200, serde_json::json!({ "nonce": "n" }))
            }
            ("POST", "/_synapse/admin/v1/register") => registered("@boss:b.test"),
            ("POST", server::REGISTER | server::LOGIN) => registered("@_bridge_a:b.test"),
            _ => server::matrix(request),
        }
    });
    let url = &server.url;
    let mut watched = Watched::new();
    for (file, name) in [
        ("shared", "shared secret"),
        ("as", "token of an application service"),
    ] {
        let secret = unique(&format!("{file}-\"Pä55\"/\\\\+&=?% ~"));
        watched.canaries.push(Canary::new(name, &secret));
        watched.home.file(file, &secret);
    }
    for line in [
        "admin register URL --username boss --shared-secret-file shared",
        "admin register URL --username boss --shared-secret-file shared --dry-run --json",
        "register URL --username _bridge_a --appservice-token-file as --json",
        "register URL --username _bridge_a --appservice-token-file as --dry-run",
        "login @_bridge_a:b.test --server URL --appservice-token-file as",
    ] {
        let code = watched.run(&line.replace("URL", url), "");
        assert_eq!(code, Some(0), "{line}: {}", watched.seen);
    }
    let requests = server.requests();
    let bearers = requests
        .iter()
        .filter(|request| request.headers.contains_key("authorization"));
    assert_eq!(bearers.count(), 2, "to whom it belongs, the token was sent");
    watched.assert_clean();
}

#[test]
fn secrets_in_arguments_are_detected() {
    let mut watched = Watched::new();
    let careless = unique("careless-word-");
    watched.canaries.push(Canary::new("password", &careless));
    let line = format!("register --dry-run --username {careless} --password-stdin");
    assert_eq!(watched.run(&line, "wordpass"), Some(0));
    let canary = &watched.canaries[0];
    assert!(
        watched
            .command_lines
            .iter()
            .any(|line| canary.seen_in(line).is_some())
    );
}

#[test]
fn would_be_seen_in_a_file() {
    let watched = Watched::new();
    let (canary, secret) = (Canary::new("password", "correct horse"), "correct horse");
    fs::create_dir(watched.home.matricula()).unwrap();
    fs::write(watched.home.matricula().join("log"), format!("…{secret}…")).unwrap();
    let files = files(&watched.home.root());
    assert!(
        files
            .iter()
            .any(|file| canary.seen_in(&fs::read(file).unwrap()).is_some())
    );
}
