//! `matricula register --from`: each row of a list ends once, and nothing is lost.
//!
//! The journeys are run on real Synapse servers in `live::bulk`.

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
    site::Site,
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

/// What the result file of a run says; made passwords have no comma and no quote in them.
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
            user_id: fields[2].to_owned(),
            password: fields[3].to_owned(),
            status: fields[4].to_owned(),
        }
    };
    lines.map(row).collect()
}

/// Signs in, and returns the answer's status.
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

/// Every row is done, nobody is there twice, and every password signs in.
#[track_caller]
fn assert_whole(site: &Site, home: &Home, run: &str, rows: usize) {
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

pub(crate) fn a_list_is_made_by_an_administrator(sites: fn(&str) -> Site) {
    let (site, home) = (sites("closed"), Home::new());
    administrator(&site, &home);
    let (ann, bob, cy) = (unique("ann"), unique("bob"), unique("cy"));
    // Bob is there already, and is not touched.
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
    let told = ended.json();
    assert_eq!(
        (&told["rows"], &told["done"], &told["exists"]),
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
    // Again, it has nothing to do.
    let again = home.run("register --run autumn --json").exit(0).json();
    assert_eq!((&again["done"], &again["requests"]), (&json!(2), &json!(0)));
    // Undone, exactly those are shut that it made.
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
fn a_list_is_made_and_unmade_by_an_administrator_and_who_is_there_is_not_touched() {
    a_list_is_made_by_an_administrator(Site::embedded);
}

/// By the shared secret, and with a token as strangers; no session is left behind.
pub(crate) fn other_routes_make_lists_too(sites: fn(&str) -> Site) {
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
        assert_whole(&site, &home, route, 6);
    }
    assert!(
        !home.matricula().join("accounts.json").exists(),
        "the sessions of those who were made are nobody's here"
    );
}

#[test]
fn the_shared_secret_and_a_token_make_lists_too() {
    other_routes_make_lists_too(Site::embedded);
}

#[test]
fn an_application_service_makes_its_users_without_passwords() {
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
fn every_fault_of_a_list_is_told_by_its_line_and_nothing_is_sent() {
    let (server, home) = (Server::start(server::matrix), Home::new());
    home.file("token", "a-token");
    let faulty = "username,password,email,admin\n\
                  ann,,,\n\
                  ANN,,,\n\
                  @bob:b.test,,,\n\
                  gün,,,\n\
                  cy,,no-address,\n\
                  dan,,,true\n\
                  ,,,\n";
    home.file("users.csv", faulty);
    let line = format!(
        "register {} --from users.csv --route token --token-file token --json",
        server.url
    );
    for how in ["--run r", "--dry-run"] {
        let told = home.run(&format!("{line} {how}")).exit(2).json();
        let faults = told["error"]["faults"].as_array().unwrap();
        let lines: Vec<u64> = faults
            .iter()
            .map(|it| it["line"].as_u64().unwrap())
            .collect();
        assert_eq!(lines, [3, 4, 5, 6, 6, 7, 8], "{told:#}");
        let posts = server
            .requests()
            .into_iter()
            .filter(|it| it.method != "GET");
        assert_eq!(posts.count(), 0, "{how}");
    }
    for (list, line) in [
        ("name\nann\n", 1),
        ("username,username\nann,ann\n", 1),
        ("username,admin\nann,perhaps\n", 2),
        ("username,admin\nann\n", 2),
        ("username\n", 1),
        ("username,displayname\nann,\"two\nlines\"\nbob\n", 4),
    ] {
        home.file("users.csv", list);
        let told = home
            .run("register --from users.csv --run r --json")
            .exit(2)
            .json();
        assert_eq!(
            told["error"]["faults"][0]["line"], line,
            "{list:?} {told:#}"
        );
    }
}

#[test]
fn a_dry_run_looks_and_changes_nothing() {
    let (site, home) = (Site::embedded("closed"), Home::new());
    let name = administrator(&site, &home);
    let new = unique("new");
    home.file("users.csv", &format!("username\n{name}\n{new}\n"));
    let told = home
        .run("register --from users.csv --dry-run --json")
        .exit(0)
        .json();
    assert_eq!(told["exists"], json!([2]));
    home.run(&format!("admin user show @{new}:{}", site.name))
        .exit(1);
    assert!(!home.matricula().join("runs").exists());
}

#[test]
fn what_concerns_all_rows_stops_the_run_which_then_goes_on() {
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
    assert_whole(&site, &home, "r", 5);
}

#[test]
fn a_run_belongs_to_one_process_and_to_one_list() {
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

/// Nothing is in doubt after it, and the command that goes on is told.
#[cfg(unix)]
#[test]
fn ctrl_c_waits_for_what_is_on_the_wire_and_tells_how_to_go_on() {
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
    assert_whole(&site, &home, "r", 400);
}

fn wait_for(path: &std::path::Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "{path:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[allow(clippy::print_stderr, reason = "the figures of a live run")]
/// Kills the command over and over, at moments that differ, until a run of it comes to its end.
pub(crate) fn killed_over_and_over(
    site: &Site,
    home: &Home,
    rows: usize,
    kills: u64,
    pause: Duration,
) {
    home.file("users.csv", &list(&unique("k"), rows));
    let mut killed = 0;
    for number in 0..kills {
        let line = "register --from users.csv --run r";
        let running = home.command(line).start();
        // Somewhere within a request, a commit or the writing of the result.
        let part = u32::try_from(number * 7 % 10).unwrap();
        thread::sleep(pause / 2 + pause * part / 10);
        killed += u64::from(running.kill().code().is_none());
    }
    assert!(
        killed >= kills / 2,
        "the rows were made before they could be killed"
    );
    let last = home.run("register --from users.csv --run r --json").exit(0);
    let told = last.json();
    assert_eq!((&told["done"], &told["rows"]), (&json!(rows), &json!(rows)));
    assert_whole(site, home, "r", rows);
    eprintln!("{rows} rows, killed {killed} times, none lost, none doubled");
}

/// By token, which the server limits, and by an administrator, whom it does not.
#[allow(clippy::print_stderr, reason = "the figures of a live run")]
pub(crate) fn at_the_pace_of_the_server(site: &Site, rows: usize) {
    let home = Home::new();
    administrator(site, &home);
    home.file("token", &site.tokens["unlimited"]);
    for (route, percent) in [("token --token-file token", 10.0), ("admin", 2.0)] {
        let run = &route[..5];
        home.file("users.csv", &list(&unique("p"), rows));
        let line = format!("register {} --from users.csv --json", site.url);
        // Each account takes two requests that the server counts: at five a second, over a minute.
        let ended = home
            .command(&format!("{line} --run {run} --route {route}"))
            .patience(Duration::from_secs(240))
            .run()
            .exit(0);
        let told = ended.json();
        let count = |what: &str| told[what].as_f64().unwrap();
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
fn killed_over_and_over_no_row_is_lost_or_doubled() {
    let (site, home) = (Site::embedded("closed"), Home::new());
    administrator(&site, &home);
    killed_over_and_over(&site, &home, 150, 5, Duration::from_millis(120));
}
