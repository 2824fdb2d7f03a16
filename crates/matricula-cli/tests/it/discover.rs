//! What a server offers, in words and as JSON, and whether what it offers works.

use std::{collections::BTreeSet, sync::Mutex};

use serde_json::{Value, json};

use crate::{
    command::{Ended, Home},
    server::{
        AUTH_METADATA, LOGIN, LOGOUT, REGISTER, Reply, Request, Server, WHOAMI, asks, bytes, error,
        matrix, object,
    },
    servers::Site,
};

const DEACTIVATE: &str = "/_matrix/client/v3/account/deactivate";

/// A server that remembers who is signed in, and asks for these stages in this order.
struct Model {
    flows: Vec<Vec<&'static str>>,
    /// The tokens that it takes.
    alive: Mutex<BTreeSet<String>>,
    /// Paths that answer with status 500.
    broken: Vec<&'static str>,
    guests: bool,
}

impl Model {
    fn new(flows: &[&[&'static str]]) -> Self {
        Self {
            flows: flows.iter().map(|flow| flow.to_vec()).collect(),
            alive: Mutex::default(),
            broken: Vec::new(),
            guests: false,
        }
    }

    fn start(self) -> Server {
        Server::start(move |request| self.answer(request))
    }

    fn session(&self, user_id: &str) -> Reply {
        let mut alive = self.alive.lock().unwrap();
        let token = format!("syt_{}", alive.len());
        alive.insert(format!("Bearer {token}"));
        object(
            200,
            json!({ "user_id": user_id, "access_token": token, "device_id": "D" }),
        )
    }

    fn answer(&self, request: &Request) -> Reply {
        let path = request.path.as_str();
        if self.broken.contains(&path) && request.method == "POST" {
            return error(500, "M_UNKNOWN", "broken");
        }
        let token = request.headers.get("authorization");
        let is_alive = token.is_some_and(|token| self.alive.lock().unwrap().contains(token));
        match (request.method.as_str(), path) {
            ("POST", REGISTER) if request.query == "kind=guest" => match self.guests {
                true => self.session("@1:b.test"),
                false => error(403, "M_FORBIDDEN", "no guests"),
            },
            ("POST", REGISTER) => self.register(request),
            ("GET", WHOAMI) if !is_alive => error(401, "M_UNKNOWN_TOKEN", "who?"),
            ("GET", WHOAMI) => object(200, json!({ "user_id": "@a:b.test", "device_id": "D" })),
            ("POST", LOGOUT) => {
                // What a session was called is never used again.
                let dead = token.cloned().unwrap_or_default();
                let mut alive = self.alive.lock().unwrap();
                alive.remove(&dead);
                alive.insert(format!("{dead} is dead"));
                object(200, json!({}))
            }
            ("POST", LOGIN) => self.session("@a:b.test"),
            ("POST", DEACTIVATE) if !is_alive => error(401, "M_UNKNOWN_TOKEN", "who?"),
            ("POST", DEACTIVATE) if request.body.get("auth").is_none() => {
                asks(&["m.login.password"])
            }
            ("POST", DEACTIVATE) => object(200, json!({ "id_server_unbind_result": "success" })),
            _ => matrix(request),
        }
    }

    fn register(&self, request: &Request) -> Reply {
        let flows: Vec<Value> = self
            .flows
            .iter()
            .map(|stages| json!({ "stages": stages }))
            .collect();
        match request.body["auth"]["type"].as_str() {
            None => object(401, json!({ "session": "s", "flows": flows })),
            Some("m.login.registration_token") if request.body["auth"]["token"] != "t0ken" => {
                let mut body = json!({ "session": "s", "flows": flows });
                body["errcode"] = "M_UNAUTHORIZED".into();
                object(401, body)
            }
            Some(_) => self.session("@a:b.test"),
        }
    }
}

fn discover(server: &Server, options: &str) -> (Home, Ended) {
    let home = Home::new();
    home.file("token", "t0ken\n");
    let ended = home.run(&format!("discover {} {options}", server.url));
    (home, ended)
}

#[test]
fn is_a_sheet_for_people() {
    let server = Model::new(&[
        &["m.login.dummy"],
        &["m.login.recaptcha", "m.login.email.identity"],
    ])
    .start();
    let (_, ended) = discover(&server, "");
    let expected = format!(
        "server    {url}\n\
         versions  v1.15\n\
         sign-in   m.login.password\n\
         register  m.login.dummy: nothing more\n          \
                   m.login.recaptcha → m.login.email.identity: a captcha and an email address\n\
         warning   anyone, and any program, can register without verification: ask for an email \
                   address, a captcha or a token\n\
         asked     GET {url}/_matrix/client/versions: 200\n          \
                   GET {url}/_matrix/client/v3/login: 200\n          \
                   GET {url}/_matrix/client/v1/auth_metadata: 404 M_UNRECOGNIZED: no such path\n          \
                   GET {url}/_matrix/client/r0/password_policy: 404 M_UNRECOGNIZED: no such path\n          \
                   POST {url}/_matrix/client/v3/register: 401\n",
        url = server.url
    );
    assert_eq!(ended.exit(0).stdout, expected);
}

#[test]
fn failed_discovery_lists_its_probes() {
    let server = Server::start(|request| match request.path.as_str() {
        LOGIN => object(502, json!({})),
        _ => matrix(request),
    });
    let (_, ended) = discover(&server, "--json");
    let tried = ended.exit(3).json()["error"]["tried"].clone();
    let mut tried = tried.as_array().unwrap().iter();
    let login = tried.find(|one| one["operation"] == "getLoginFlows");
    assert_eq!(login.unwrap()["status"], 502);
}

#[test]
fn oauth_server_capabilities_are_shown() {
    let server = Server::start(|request| match request.path.as_str() {
        AUTH_METADATA => object(
            200,
            json!({
                "issuer": "https://account.b.test/",
                "authorization_endpoint": "https://account.b.test/authorize",
                "token_endpoint": "https://account.b.test/token",
                "registration_endpoint": "https://account.b.test/clients",
                "revocation_endpoint": "https://account.b.test/revoke",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "response_modes_supported": ["query", "fragment"],
                "code_challenge_methods_supported": ["S256"],
                "prompt_values_supported": ["create"],
                "account_management_uri": "https://account.b.test/me",
            }),
        ),
        LOGIN => error(404, "M_UNRECOGNIZED", "no"),
        REGISTER => error(403, "M_FORBIDDEN", "not here"),
        _ => matrix(request),
    });
    let (_, ended) = discover(&server, "");
    for line in [
        "sign-in    none of Matrix's own\n",
        "OAuth 2.0  https://account.b.test/\n",
        "           grants authorization_code, refresh_token\n",
        "           prompts create\n",
        "accounts   are managed at https://account.b.test/me\n",
        "register   OAuth 2.0: signing up on the page of https://account.b.test/ in a browser\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}{ended}");
    }
    // Nothing that a program alone could try.
    let (_, ended) = discover(&server, "--try --json");
    let json = ended.exit(6).json();
    assert_eq!(json["tries"]["ways"][0]["state"], "not_tried");
}

#[test]
fn working_methods_pass_without_leftovers() {
    let server = Model::new(&[&["m.login.dummy"], &["m.login.registration_token"]]).start();
    let (home, ended) = discover(&server, "--try --token-file token --json");
    let json = ended.exit(0).json();
    assert_eq!(json["exit_code"], 0);
    for way in json["tries"]["ways"].as_array().unwrap() {
        assert_eq!(way["state"], "passed", "{way}");
        let steps = way["steps"].as_array().unwrap().iter();
        let steps: Vec<_> = steps.map(|step| step["step"].as_str().unwrap()).collect();
        assert_eq!(
            steps,
            ["register", "whoami", "logout", "login", "deactivate"]
        );
        assert_eq!(way["left_behind"], false);
    }
    let shape = format!("{:#}", json["tries"]).replace(&server.url, "SERVER");
    insta::assert_snapshot!("json_of_tries", shape);
    let tables = home.store()["tables"].clone();
    for table in ["accounts", "registrations"] {
        assert_eq!(tables[table], json!({}), "nothing is kept of it");
    }
    let stages: Vec<_> = server
        .requests()
        .iter()
        .filter(|request| request.is_stage())
        .map(|request| request.body["auth"]["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(stages, ["m.login.dummy", "m.login.registration_token"]);
}

#[test]
fn embedded_homeserver_passes_all_methods() {
    for (profile, exit) in [("open", 0), ("token+terms", 0), ("closed", 7)] {
        let (site, home) = (Site::embedded(profile), Home::new());
        let token = site.tokens.get("unlimited").cloned();
        home.file("token", &token.unwrap_or("none".into()));
        let options = "--try --json --accept-terms --token-file token";
        let line = format!("discover {} {options}", site.url);
        let json = home.run(&line).exit(exit).json();
        for way in json["tries"]["ways"].as_array().unwrap() {
            assert_eq!(way["state"], "passed", "{profile}: {way}");
        }
    }
}

#[test]
fn method_with_person_is_not_tried() {
    let stages = [
        "m.login.email.identity",
        "m.login.msisdn",
        "m.login.recaptcha",
        "m.login.sso",
        "m.login.terms",
        "m.login.registration_token",
        "org.example.riddle",
    ];
    let flows: Vec<Vec<&str>> = stages.iter().map(|stage| vec![*stage]).collect();
    let flows: Vec<&[&str]> = flows.iter().map(Vec::as_slice).collect();
    let server = Model::new(&flows).start();
    let (_, ended) = discover(&server, "--try --json");
    let json = ended.exit(6).json();
    assert_eq!(json["exit_code"], 6);
    let ways = json["tries"]["ways"].as_array().unwrap();
    assert_eq!(ways.len(), stages.len());
    for (way, word) in ways.iter().zip([
        "email",
        "phone",
        "captcha",
        "browser",
        "--accept-terms",
        "--token-file",
        "browser",
    ]) {
        assert_eq!(way["state"], "not_tried");
        let why = way["why_not_tried"].as_str().unwrap();
        assert!(why.contains(word), "{why}");
    }
    let stages = server
        .requests()
        .iter()
        .filter(|one| one.is_stage())
        .count();
    assert_eq!(stages, 0);
}

#[test]
fn failed_step_is_cleaned_up() {
    for (broken, failed) in [(LOGOUT, "logout"), (WHOAMI, "whoami")] {
        let mut model = Model::new(&[&["m.login.dummy"]]);
        model.broken.push(broken);
        let server = match failed {
            "whoami" => Server::start(move |request| match request.path.as_str() {
                WHOAMI => object(200, json!({ "user_id": "@b:b.test" })),
                _ => model.answer(request),
            }),
            _ => model.start(),
        };
        let (home, ended) = discover(&server, "--try --json --timeout 5");
        let json = ended.exit(1).json();
        let way = &json["tries"]["ways"][0];
        assert_eq!(way["state"], "failed");
        let steps = way["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["step"] == failed).unwrap();
        assert!(step["error"].is_string(), "{way}");
        assert_eq!(way["left_behind"], false, "{way}");
        assert_eq!(home.store()["tables"]["accounts"], json!({}));
    }
}

#[test]
fn undeactivated_account_stays_stored() {
    let server = Server::start({
        let model = Model::new(&[&["m.login.dummy"]]);
        move |request| match request.path.as_str() {
            DEACTIVATE => error(403, "M_FORBIDDEN", "nobody leaves"),
            _ => model.answer(request),
        }
    });
    let (home, ended) = discover(&server, "--try");
    let ended = ended.exit(1);
    let words = "@a:b.test was left behind, and is stored here";
    assert!(ended.stdout.contains(words), "{ended}");
    let next = "account deactivate --account @a:b.test\n";
    assert!(ended.stderr.ends_with(next), "{ended}");
    assert!(home.account()["access_token"].is_string());
}

#[test]
fn in_doubt_account_can_be_resumed() {
    let server = Server::start(|request| match request.path.as_str() {
        REGISTER if request.is_stage() => {
            bytes("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"user_id")
        }
        LOGIN if request.method == "POST" => error(500, "M_UNKNOWN", "later"),
        _ => matrix(request),
    });
    let (home, ended) = discover(&server, "--try");
    let ended = ended.exit(1);
    let id = home.registration();
    let words = format!("an account may have been left behind by registration {id}");
    assert!(ended.stdout.contains(&words), "{ended}");
    let next = format!("register --resume {id}\n");
    assert!(ended.stderr.ends_with(&next), "{ended}");
}

#[test]
fn failed_registration_is_not_resumable() {
    let server = Model::new(&[&["m.login.registration_token"]]).start();
    let home = Home::new();
    home.file("token", "wrong");
    let line = format!("discover {} --try --token-file token --json", server.url);
    let json = home.run(&line).exit(1).json();
    let step = &json["tries"]["ways"][0]["steps"][0];
    assert_eq!(step["step"], "register");
    let error = step["error"].as_str().unwrap();
    assert!(
        error.contains("does not accept the registration token"),
        "{error}"
    );
    assert_eq!(home.store()["tables"]["registrations"], json!({}));
}

#[test]
fn a_closed_server_is_its_policy() {
    let server = Server::start(|request| match request.path.as_str() {
        REGISTER => error(403, "M_FORBIDDEN", "by invitation"),
        _ => matrix(request),
    });
    let (_, ended) = discover(&server, "--try");
    let ended = ended.exit(7);
    let words = "register  closed to strangers: by invitation\n";
    assert!(ended.stdout.contains(words), "{ended}");
}

#[test]
fn guest_access_is_a_warning() {
    let mut model = Model::new(&[&["m.login.dummy"]]);
    model.guests = true;
    let server = model.start();
    let (home, ended) = discover(&server, "--try --json");
    let json = ended.exit(0).json();
    assert_eq!(json["tries"]["guest"]["state"], "allowed");
    let warnings = json["warnings"].as_array().unwrap().iter();
    let codes: Vec<_> = warnings.map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["open_registration", "guests_allowed"]);
    assert_eq!(
        home.store()["tables"]["accounts"],
        json!({}),
        "no guest is kept"
    );
}

#[test]
fn stored_user_sees_capabilities() {
    let server = Server::start(|request| match request.path.as_str() {
        "/_matrix/client/v3/capabilities" => {
            assert_eq!(request.headers["authorization"], "Bearer syt_token");
            object(
                200,
                json!({ "capabilities": { "m.change_password": { "enabled": false } } }),
            )
        }
        REGISTER if request.body.get("auth").is_some() => {
            let port = request.headers["host"].rsplit(':').next().unwrap();
            crate::server::registered(&format!("@a:127.0.0.1:{port}"))
        }
        _ => matrix(request),
    });
    let home = Home::new();
    home.run(&format!("register {}", server.url)).exit(0);
    let user_id = home.account()["user_id"].as_str().unwrap().to_owned();
    let ended = home.run(&format!("discover {user_id}")).exit(0);
    assert!(
        ended.stdout.contains("you may not  change your password\n"),
        "{ended}"
    );
    // A command without an account sends no token.
    let ended = home.run(&format!("discover {}", server.url)).exit(0);
    assert!(!ended.stdout.contains("may not"), "{ended}");
}

#[test]
fn plain_http_needs_its_option() {
    for command in ["discover", "register", "login --server"] {
        let home = Home::new();
        home.file("password", "wordpass");
        let user = match command {
            "login --server" => "alice --password-file password",
            _ => "",
        };
        let line = format!("{command} http://192.0.2.1:8008 {user}");
        let ended = home.run(&line).exit(2);
        assert!(ended.stderr.contains("is not encrypted"), "{ended}");
        assert!(ended.stderr.contains("or --allow-plain-http"), "{ended}");
        // With the option it is sent; here the proxy answers for all machines.
        let proxy = Server::start(matrix);
        let line = home.command(&format!("{line} --allow-plain-http"));
        line.env("http_proxy", &proxy.url).run();
        let requests = proxy.requests();
        assert!(
            requests
                .iter()
                .all(|one| one.path.starts_with("http://192.0.2.1:8008/"))
        );
        assert!(!requests.is_empty(), "{command}");
    }
}
