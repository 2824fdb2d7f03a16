//! Profile → options → exit code and JSON: what `register` makes of every way in which a server
//! lets people register. The table is in `snapshots`, once for each kind of homeserver.

use std::{collections::BTreeMap, thread};

use serde_json::Value;

use crate::{
    command::{Home, unique},
    servers::Site,
};

/// Profile, what is typed after `register SERVER --json`, exit code.
///
/// `NAME` stands for a free name; `admin` is taken. What `--password-file` and
/// `--token-file` name are files: see [`files`].
const ROWS: [(&str, &str, i32); 46] = [
    ("open", "", 0),
    ("open", "--username NAME", 0),
    ("open", "--username NAME --password-file good", 0),
    ("open", "--username NAME --password-stdin", 0),
    ("open", "--username BIGNAME", 0),
    ("open", "--username NAME --device-id LAPTOP", 0),
    ("open", "--username NAME --device-name laptop", 0),
    ("open", "--username NAME --inhibit-login", 0),
    ("open", "--username NAME --refresh-token", 0),
    ("open", "--token-file wrong --accept-terms", 0),
    ("open", "--username admin", 7),
    ("open", "--username na?me", 7),
    ("open", "--username _name", 7),
    ("open", "--guest", 7),
    ("token", "--username NAME --token-file unlimited", 0),
    ("token", "--username NAME --token-stdin", 0),
    ("token", "--token-file once", 0),
    ("token", "--token-file once", 7),
    ("token", "--token-file spent", 7),
    ("token", "--token-file expired", 7),
    ("token", "--token-file wrong", 7),
    ("token", "--username admin --token-file unlimited", 7),
    ("token", "--username NAME", 6),
    ("terms", "--username NAME --accept-terms", 0),
    ("terms", "--username NAME", 6),
    (
        "token+terms",
        "--username NAME --token-file unlimited --accept-terms",
        0,
    ),
    ("token+terms", "--token-file unlimited", 6),
    ("token+terms", "--accept-terms", 6),
    ("token+terms", "--token-file wrong --accept-terms", 7),
    ("guests", "--guest", 0),
    ("guests", "--guest --device-name laptop", 0),
    ("guests", "--username NAME", 0),
    ("refresh", "--username NAME --refresh-token", 0),
    ("refresh", "--username NAME", 0),
    ("shortlived", "--username NAME", 0),
    ("shortlived", "--username NAME --inhibit-login", 0),
    ("ratelimited", "--username NAME", 0),
    ("closed", "", 7),
    ("closed", "--username NAME --password-file good", 7),
    ("closed", "--guest", 7),
    ("policy", "--username NAME --password-file good", 0),
    ("policy", "--username NAME", 0),
    ("policy", "--username NAME --password-file short", 7),
    ("policy", "--username NAME --password-file no-digit", 7),
    ("policy", "--username NAME --password-file no-symbol", 7),
    ("policy", "--username NAME --password-file no-capital", 7),
];

#[test]
fn on_the_embedded_homeserver() {
    insta::assert_snapshot!(table(Site::embedded));
}

/// Runs every row, the rows of one profile one after the other.
pub(crate) fn table(site: fn(&str) -> Site) -> String {
    let mut profiles: Vec<&str> = ROWS.iter().map(|row| row.0).collect();
    profiles.dedup();
    let parts = thread::scope(|scope| {
        let work = profiles.into_iter().map(|profile| {
            scope.spawn(move || {
                let site = site(profile);
                let rows = ROWS.iter().filter(|row| row.0 == profile);
                rows.map(|row| run(&site, row)).collect::<String>()
            })
        });
        let work: Vec<_> = work.collect();
        let parts = work.into_iter().map(|part| part.join().unwrap());
        parts.collect::<String>()
    });
    parts.trim_end().to_owned()
}

fn run(site: &Site, (profile, options, exit): &(&str, &str, i32)) -> String {
    let home = Home::new();
    for (name, content) in files(site) {
        home.file(name, content);
    }
    let name = unique("n");
    let typed = options
        .replace("BIGNAME", &name.to_uppercase())
        .replace("NAME", &name);
    let mut line = home.command(&format!("register {} --json {typed}", site.url));
    if options.contains("--password-stdin") {
        line = line.stdin("a-Good-1-from-stdin\n");
    }
    if options.contains("--token-stdin") {
        line = line.stdin(&site.tokens["unlimited"]);
    }
    let ended = line.run();
    assert_eq!(ended.code(), Some(*exit), "{profile}: {options}\n{ended}");
    let json = ended
        .json()
        .to_string()
        .replace(&name.to_uppercase(), "BIGNAME")
        .replace(&name, "NAME")
        .replace(&site.url, "SERVER")
        .replace(env!("CARGO_BIN_EXE_matricula"), "matricula")
        .replace(home.matricula().to_str().unwrap(), "HOME");
    let mut json = serde_json::from_str(&json).unwrap();
    redact(&mut json);
    format!("{profile}: {options}\nexit {exit} {json}\n\n")
}

/// What `--password-file` and `--token-file` name.
fn files(site: &Site) -> BTreeMap<&str, &str> {
    let mut files = BTreeMap::from([
        ("good", "a-Good-1-for-all\n"),
        ("short", "Aa-1"),
        ("no-digit", "Aa-wordpass-wordpass"),
        ("no-symbol", "Aa1wordpasswordpass"),
        ("no-capital", "a1-wordpass-wordpass"),
        ("wrong", "no-such-token"),
    ]);
    let tokens = site.tokens.iter();
    files.extend(tokens.map(|(kind, token)| (kind.as_str(), token.as_str())));
    files
}

/// Replaces what is another each time by what it is, once that was checked.
fn redact(value: &mut Value) {
    let Value::Object(object) = value else {
        return;
    };
    for (key, value) in object {
        match (key.as_str(), &*value) {
            ("user_id", Value::String(id)) => {
                let (localpart, server) = id[1..].split_once(':').unwrap();
                if localpart != "NAME" {
                    *value = format!("@PICKED:{server}").into();
                }
            }
            ("device_id", Value::String(id))
                if id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_uppercase()) =>
            {
                *value = "MADE".into();
            }
            ("expires_at", Value::Number(_)) => *value = "TIME".into(),
            ("resume", Value::String(id)) => {
                assert_eq!(id.len(), 10);
                *value = "ID".into();
            }
            ("session", Value::String(_)) => *value = "SESSION".into(),
            ("url", Value::String(url)) if url.contains("?session=") => {
                let (page, _) = url.split_once('=').unwrap();
                *value = format!("{page}=SESSION").into();
            }
            ("next", Value::String(next)) if next.contains("--resume") => {
                let words: Vec<&str> = next.split(' ').collect();
                let words = words
                    .iter()
                    .map(|word| if word.len() == 10 { "ID" } else { word });
                *value = words.collect::<Vec<_>>().join(" ").into();
            }
            _ => redact(value),
        }
    }
}
