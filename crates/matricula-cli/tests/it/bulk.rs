//! `matricula register --from`: each row of a list ends once, and no account is lost.
//!
//! The `pub(crate)` functions also run on real Synapse servers, from `live::bulk`.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    admin::administrator,
    command::{Home, unique},
    http::call,
    server::{self, LOGIN, Server},
    servers::Site,
};

/// A row of a result file.
#[derive(Clone, Debug)]
struct Row {
    user_id: String,
    password: String,
    status: String,
}

fn result_file(home: &Home, run: &str) -> PathBuf {
    home.matricula().join("runs").join(format!("{run}.csv"))
}

/// The rows of the result file. Generated passwords contain no commas and no quotes.
fn results(home: &Home, run: &str) -> Vec<Row> {
    let text = fs::read_to_string(result_file(home, run)).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("line,username,user_id,password,status,why")
    );
    let row = |line: &str| {
        let fields: Vec<&str> = line.splitn(6, ',').collect();
        Row {
            // It begins with `@`, as a formula does.
            user_id: fields[2].trim_start_matches('\'').to_owned(),
            password: fields[3].to_owned(),
            status: fields[4].to_owned(),
        }
    };
    lines.map(row).collect()
}

/// Logs in, and returns the status of the response.
fn sign_in(site: &Site, user: &str, password: &str) -> u16 {
    let body = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": user },
        "password": password,
    });
    call(&site.url, "POST", LOGIN, None, Some(&body)).0
}

fn list(start: &str, rows: usize) -> String {
    let rows = (0..rows).map(|number| format!("{start}{number}\n"));
    format!("username\n{}", rows.collect::<String>())
}

/// Every row is done, no user occurs twice, and every password logs in.
#[track_caller]
fn assert_complete(site: &Site, home: &Home, run: &str, rows: usize) {
    let results = results(home, run);
    let mut users = BTreeMap::new();
    for row in &results {
        assert_eq!(row.status, "done", "{row:?}");
        users.insert(row.user_id.clone(), row.password.clone());
    }
    assert_eq!((results.len(), users.len()), (rows, rows));
    for (user, password) in &users {
        assert_eq!(sign_in(site, user, password), 200, "{user}");
    }
}

pub(crate) fn run_as_administrator(sites: fn(&str) -> Site) {
    let (site, home) = (sites("closed"), Home::new());
    administrator(&site, &home);
    let (ann, bob, cy) = (unique("ann"), unique("bob"), unique("cy"));
    // Bob exists already, and stays unchanged.
    home.file("password", "a-Good-1-for-all");
    let bob_id = format!("@{bob}:{}", site.name);
    home.run(&format!(
        "admin user create {bob_id} --password-file password"
    ))
    .exit(0);
    home.file(
        "users.csv",
        &format!(
            "\u{feff}displayname,Username,password,admin\r\n\
             \"Ann, the first\",{},an-own-Pass-1,yes\r\n\
             Robert,{bob},another-Pass-1,\r\n\
             ,{cy},,no\r\n",
            ann.to_uppercase()
        ),
    );
    let ended = home
        .run("register --from users.csv --run autumn --json")
        .exit(0);
    let summary = ended.json();
    assert_eq!(
        (&summary["rows"], &summary["done"], &summary["exists"]),
        (&json!(3), &json!(2), &json!(1)),
        "{ended}"
    );
    assert!(ended.stderr.contains("chmod 600 users.csv"), "{ended}");
    assert!(ended.stderr.contains("shared-secret"), "{ended}");
    let rows = results(&home, "autumn");
    assert_eq!(rows[0].password, "an-own-Pass-1");
    assert_eq!(rows[1].status, "exists");
    assert_eq!(sign_in(&site, &rows[0].user_id, "an-own-Pass-1"), 200);
    assert_eq!(sign_in(&site, &bob_id, "a-Good-1-for-all"), 200);
    assert_eq!(sign_in(&site, &rows[2].user_id, &rows[2].password), 200);
    let shown = home
        .run(&format!("admin user show {} --json", rows[0].user_id))
        .exit(0)
        .json();
    assert_eq!(
        (&shown["display_name"], &shown["admin"]),
        (&json!("Ann, the first"), &json!(true))
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(result_file(&home, "autumn"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // The second time, nothing is left to do.
    let again = home.run("register --run autumn --json").exit(0).json();
    assert_eq!((&again["done"], &again["requests"]), (&json!(2), &json!(0)));
    // Undo deactivates exactly the accounts that the run created.
    home.run("register --run autumn --undo").exit(2);
    let undone = home
        .run("register --run autumn --undo --yes --json")
        .exit(0);
    assert!(undone.stderr.contains(&rows[2].user_id), "{undone}");
    assert!(!undone.stderr.contains(&bob_id), "{undone}");
    assert_eq!(undone.json()["undone"], 2);
    assert_eq!(sign_in(&site, &rows[0].user_id, "an-own-Pass-1"), 403);
    assert_eq!(sign_in(&site, &bob_id, "a-Good-1-for-all"), 200);
}

#[test]
fn administrator_creates_and_undoes_list() {
    run_as_administrator(Site::embedded);
}

/// With the shared secret, and with a registration token; no session is left.
pub(crate) fn run_by_other_routes(sites: fn(&str) -> Site) {
    let home = Home::new();
    for (profile, route) in [("closed", "shared-secret"), ("token", "token")] {
        let site = sites(profile);
        let file = match route {
            "token" => {
                home.file("secret", &site.tokens["unlimited"]);
                "--token-file"
            }
            _ => {
                home.file("secret", site.told("/shared_secret"));
                "--shared-secret-file"
            }
        };
        home.file("users.csv", &list(&unique("a"), 6));
        let line = format!("register {} --from users.csv --run {route}", site.url);
        home.run(&format!("{line} --route {route} {file} secret"))
            .exit(0);
        assert_complete(&site, &home, route, 6);
    }
    assert!(
        !home.matricula().join("accounts.json").exists(),
        "no session of a new user is stored"
    );
}

#[test]
fn other_routes_create_the_list() {
    run_by_other_routes(Site::embedded);
}

#[test]
fn appservice_users_have_no_passwords() {
    let (site, home) = (Site::embedded("appservice"), Home::new());
    home.file("secret", site.told("/appservice/as_token"));
    home.file("users.csv", "username\nbridge_a\nbridge_b\noutside\n");
    let ended = home
        .run(&format!(
            "register {} --from users.csv --run b --route appservice --appservice-token-file secret",
            site.url
        ))
        .exit(1);
    let rows = results(&home, "b");
    let statuses: Vec<&str> = rows.iter().map(|row| row.status.as_str()).collect();
    assert_eq!(statuses, ["done", "done", "failed"], "{ended}");
    assert!(rows.iter().all(|row| row.password.is_empty()));
}

#[test]
fn list_errors_are_reported_by_line() {
    let (server, home) = (Server::start(server::matrix), Home::new());
    home.file("token", "a-token");
    let invalid = "username,password,email,admin\n\
                  ann,,,\n\
                  ANN,,,\n\
                  @bob:b.test,,,\n\
                  gün,,,\n\
                  cy,,no-address,\n\
                  dan,,,true\n\
                  ,,,\n\
                  ,a-Password-1,,\n\
                  eve,,mailto:eve@b.test,\n\
                  fay,,\"fay@b.test, fred@b.test\",\n";
    home.file("users.csv", invalid);
    let line = format!(
        "register {} --from users.csv --route token --token-file token --json",
        server.url
    );
    for option in ["--run r", "--dry-run"] {
        let output = home.run(&format!("{line} {option}")).exit(2).json();
        let errors = output["error"]["row_errors"].as_array().unwrap();
        let lines: Vec<u64> = errors
            .iter()
            .map(|it| it["line"].as_u64().unwrap())
            .collect();
        assert_eq!(lines, [3, 4, 5, 6, 6, 7, 9, 10, 10, 11, 11], "{output:#}");
        let posts = server
            .requests()
            .into_iter()
            .filter(|it| it.method != "GET");
        assert_eq!(posts.count(), 0, "{option}");
    }
    for (list, line) in [
        ("name\nann\n", 1),
        ("username,username\nann,ann\n", 1),
        ("username,admin\nann,perhaps\n", 2),
        ("username,admin\nann\n", 2),
        ("username\n", 1),
        ("username,displayname\nann,\"two\nlines\"\nbob\n", 2),
        (
            "username,displayname\nann,One\nqb2,\"Unclosed\nqb3,Three\n",
            3,
        ),
        ("username,displayname\nann,\"One\" Two\n", 2),
    ] {
        home.file("users.csv", list);
        let output = home
            .run("register --from users.csv --run r --json")
            .exit(2)
            .json();
        assert_eq!(
            output["error"]["row_errors"][0]["line"], line,
            "{list:?} {output:#}"
        );
    }
}

#[test]
fn dry_run_changes_nothing() {
    let (site, home) = (Site::embedded("closed"), Home::new());
    let name = administrator(&site, &home);
    let new = unique("new");
    home.file("users.csv", &format!("username\n{name}\n{new}\n"));
    let output = home
        .run("register --from users.csv --dry-run --json")
        .exit(0)
        .json();
    assert_eq!(output["exists"], json!([2]));
    for (rows, words) in [
        (
            format!("{name}\n"),
            "1 row: 0 would be created, 1 exists already;",
        ),
        (
            format!("{new}\n"),
            "1 row: 1 would be created, 0 exist already;",
        ),
        (
            format!("{name}\n{new}\n"),
            "2 rows: 1 would be created, 1 exists already;",
        ),
    ] {
        home.file("users.csv", &format!("username\n{rows}"));
        let ended = home.run("register --from users.csv --dry-run").exit(0);
        assert!(ended.stdout.starts_with(words), "{ended}");
    }
    home.run(&format!("admin user show @{new}:{}", site.name))
        .exit(1);
    assert!(!home.matricula().join("runs").exists());
}

#[test]
fn error_of_all_rows_stops_the_run() {
    let (site, home) = (Site::embedded("token"), Home::new());
    home.file("token", "wrong");
    home.file("users.csv", &list(&unique("a"), 5));
    let line = format!("register {} --from users.csv --run r", site.url);
    let line = format!("{line} --route token --token-file token");
    let ended = home.run(&line).exit(7);
    assert!(
        ended
            .stderr
            .contains("does not accept the registration token"),
        "{ended}"
    );
    assert!(
        ended.stderr.contains("register --run r --token-file token"),
        "{ended}"
    );
    assert!(
        results(&home, "r")
            .iter()
            .all(|row| row.status == "not begun")
    );
    home.file("token", &site.tokens["unlimited"]);
    home.run("register --run r --token-file token").exit(0);
    assert_complete(&site, &home, "r", 5);
}

#[test]
fn run_has_one_process_and_list() {
    let (site, home) = (Site::embedded("closed"), Home::new());
    administrator(&site, &home);
    home.file("users.csv", &list(&unique("a"), 400));
    let first = home.command("register --from users.csv --run r").start();
    wait_for(&result_file(&home, "r"));
    let second = home.run("register --run r").exit(1);
    assert!(
        second.stderr.contains("in use by another process"),
        "{second}"
    );
    first.kill();
    let rows = results(&home, "r");
    assert!(
        rows.iter()
            .all(|row| row.status != "not begun" && row.password.len() >= 24)
    );
    assert_eq!(rows.len(), 400);
    home.file("users.csv", "username\nsomebody\n");
    let other = home.run("register --from users.csv --run r").exit(2);
    assert!(other.stderr.contains("another list"), "{other}");
    home.run("register --run unknown").exit(2);
}

/// After it, no row is in doubt, and the command that resumes the run is printed.
#[cfg(unix)]
#[test]
fn ctrl_c_waits_for_requests_in_flight() {
    let (site, home) = (Site::embedded("closed"), Home::new());
    administrator(&site, &home);
    home.file("users.csv", &list(&unique("a"), 400));
    let running = home.command("register --from users.csv --run r").start();
    wait_for(&result_file(&home, "r"));
    let ended = running.interrupt().exit(130);
    assert!(ended.stderr.contains("next: "), "{ended}");
    assert!(ended.stderr.contains("register --run r"), "{ended}");
    let rows = results(&home, "r");
    assert!(rows.iter().any(|row| row.status == "not begun"), "{ended}");
    home.run("register --run r --jobs 16").exit(0);
    assert_complete(&site, &home, "r", 400);
}

fn wait_for(path: &std::path::Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "{path:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[allow(clippy::print_stderr, reason = "prints measurements of a live run")]
/// Kills the command `kills` times, at different moments, then lets the run finish.
pub(crate) fn kill_repeatedly(site: &Site, home: &Home, rows: usize, kills: u64, pause: Duration) {
    home.file("users.csv", &list(&unique("k"), rows));
    let mut killed = 0;
    for number in 0..kills {
        let line = "register --from users.csv --run r";
        let running = home.command(line).start();
        // Within a request, a commit, or a write of the result file.
        let part = u32::try_from(number * 7 % 10).unwrap();
        thread::sleep(pause / 2 + pause * part / 10);
        killed += u64::from(running.kill().code().is_none());
    }
    assert!(
        killed >= kills / 2,
        "the run finished before it could be killed"
    );
    let last = home.run("register --from users.csv --run r --json");
    let unfinished = fs::read_to_string(result_file(home, "r")).unwrap();
    let unfinished: Vec<_> = unfinished
        .lines()
        .skip(1)
        .filter(|row| !row.contains(",done,"))
        .collect();
    assert!(unfinished.is_empty(), "{unfinished:?}");
    let last = last.exit(0);
    let summary = last.json();
    assert_eq!(
        (&summary["done"], &summary["rows"]),
        (&json!(rows), &json!(rows))
    );
    assert_complete(site, home, "r", rows);
    eprintln!("{rows} rows, killed {killed} times, none lost, none duplicated");
}

/// With a token, which is rate limited, and by an administrator, who is not.
#[allow(clippy::print_stderr, reason = "prints measurements of a live run")]
pub(crate) fn count_rate_limited_requests(site: &Site, rows: usize) {
    let home = Home::new();
    administrator(site, &home);
    home.file("token", &site.tokens["unlimited"]);
    for (route, percent) in [("token --token-file token", 10.0), ("admin", 2.0)] {
        let run = &route[..5];
        home.file("users.csv", &list(&unique("p"), rows));
        let line = format!("register {} --from users.csv --json", site.url);
        // Each account takes two requests that are rate limited: at five a second, over a minute.
        let ended = home
            .command(&format!("{line} --run {run} --route {route}"))
            .patience(Duration::from_secs(240))
            .run()
            .exit(0);
        let summary = ended.json();
        let count = |what: &str| summary[what].as_f64().unwrap();
        let (requests, limited) = (count("requests"), count("rate_limited"));
        eprintln!(
            "{rows} rows by {run}: {requests} requests, {limited} answered with 429, in {:.1} s",
            ended.took.as_secs_f64()
        );
        assert_eq!(count("done"), count("rows"), "{ended}");
        assert!(limited * 100.0 < percent * requests, "{ended}");
    }
}

#[test]
fn killed_run_loses_no_row() {
    let (site, home) = (Site::embedded("closed"), Home::new());
    administrator(&site, &home);
    kill_repeatedly(&site, &home, 150, 5, Duration::from_millis(120));
}
