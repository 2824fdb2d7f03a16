//! A homeserver that delegates its accounts to an authentication service, as one of them behaved.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    command::{Ended, Home},
    issuer::{self, Faults, fields},
    scripted_browser::{follow, visit},
    server::{
        AUTH_METADATA, LOGIN, REGISTER, Reply, Request, Server, WHOAMI, answer, error, object,
    },
};

const DEVICES: &str = "/_matrix/client/v3/devices";
const OWN_METADATA: &str = "/.well-known/openid-configuration";

fn start(first: impl Fn(&Value, &Request) -> Option<Reply> + Send + Sync + 'static) -> Server {
    issuer::start_with(Faults::default(), first)
}

/// Runs a command line; the person lets the program in on the page that it opens.
fn on_page(home: &Home, line: &str) -> Ended {
    Browser::new(home).run(home.command(line), |url| {
        assert_eq!(follow(url).status, 200, "{url}");
    })
}

/// A session by OAuth 2.0 on this server.
fn signed_in(server: &Server) -> Home {
    let home = Home::new();
    on_page(
        &home,
        &format!("login --server {} --method oauth", server.url),
    )
    .exit(0);
    home
}

/// A session with a password on a server that delegates accounts, and lets old clients in.
fn signed_in_by_password(server: &Server) -> Home {
    let home = Home::new();
    home.file("password", "wordpass");
    let line = format!(
        "login @new:b.test --server {} --password-file password",
        server.url
    );
    home.run(&line).exit(0);
    home
}

/// What old clients may do there.
fn compatible(request: &Request) -> Option<Reply> {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", LOGIN) => Some(object(
            200,
            json!({ "flows": [
                { "type": "m.login.password" },
                { "type": "m.login.sso", "oauth_aware_preferred": true,
                  "org.matrix.msc3824.delegated_oidc_compatibility": true },
                { "type": "m.login.token" },
            ]}),
        )),
        ("POST", LOGIN) if request.body["type"] == "m.login.password" => Some(object(
            200,
            json!({ "user_id": "@new:b.test", "access_token": "mct_a", "device_id": "ABCDEFGHIJ" }),
        )),
        ("POST", LOGIN) => Some(error(400, "M_UNRECOGNIZED", "Invalid login type")),
        _ => None,
    }
}

// The client id.

/// A service that forgets its clients when the number changes: its page says so to the person only.
fn forgetful() -> (Server, Arc<AtomicUsize>) {
    let current = Arc::new(AtomicUsize::new(1));
    let number = Arc::clone(&current);
    let server = start(move |_, request| {
        let known = format!("c{}", number.load(SeqCst));
        match request.path.as_str() {
            "/clients" => Some(object(201, json!({ "client_id": known }))),
            "/authorize" if fields(&request.query)["client_id"] != known => {
                Some(answer(400, &[], "could not find client"))
            }
            "/token" if request.form["client_id"] != known => Some(object(
                401,
                json!({ "error": "invalid_client",
                    "error_description": "Client authentication failed." }),
            )),
            _ => None,
        }
    });
    (server, current)
}

#[test]
fn forgotten_client_does_not_stop_the_next_page() {
    for command in ["register", "login --server"] {
        let (server, current) = forgetful();
        let home = signed_in(&server);
        current.store(2, SeqCst);
        on_page(&home, &format!("{command} {} --method oauth", server.url)).exit(0);
        assert_eq!(home.account()["oauth"]["client_id"], "c2", "{command}");
        // One that waits for a person meanwhile.
        let line = format!("{command} {} --method oauth --no-input --json", server.url);
        let waits = home.run(&line).exit(6).json();
        let id = waits["error"]["resume"].as_str().unwrap();
        let page = waits["error"]["url"].as_str().unwrap();
        current.store(3, SeqCst);
        assert_eq!(visit(page).status, 400);
        let word = command.split(' ').next().unwrap();
        on_page(&home, &format!("{word} --resume {id}")).exit(0);
        assert_eq!(home.account()["oauth"]["client_id"], "c3", "{command}");
    }
}

#[test]
fn forgotten_client_ends_the_session_only() {
    let (server, current) = forgetful();
    let home = signed_in(&server);
    current.store(2, SeqCst);
    let ended = home.run("refresh").exit(4);
    assert!(
        ended.stderr.contains("Client authentication failed."),
        "{ended}"
    );
    assert_eq!(home.store()["tables"]["oauth_clients"], json!({}));
    let line = format!("login @new:b.test --server {} --method oauth", server.url);
    on_page(&home, &line).exit(0);
    home.run("refresh").exit(0);
}

#[test]
fn refused_introduction_leaves_the_old_one() {
    let introduced = AtomicUsize::new(0);
    let server = start(move |_, request| {
        let is_again = request.path == "/clients" && introduced.fetch_add(1, SeqCst) > 0;
        is_again.then(|| object(403, json!({ "error": "access_denied" })))
    });
    let home = signed_in(&server);
    on_page(
        &home,
        &format!("login --server {} --method oauth", server.url),
    )
    .exit(0);
    assert_eq!(home.account()["oauth"]["client_id"], "c1");
}

// A service that is down.

#[test]
fn service_in_trouble_is_not_closed() {
    for (status, login) in [(500, 404), (502, 404), (503, 404), (500, 502)] {
        let server = start(move |_, request| match request.path.as_str() {
            AUTH_METADATA => Some(error(status, "M_UNKNOWN", "Internal server error")),
            LOGIN if login == 404 => Some(error(404, "M_UNRECOGNIZED", "Unrecognized request")),
            LOGIN => Some(answer(
                login,
                &["content-type: text/html"],
                "<html>Bad gateway",
            )),
            REGISTER => Some(error(403, "M_FORBIDDEN", "Registration has been disabled.")),
            _ => None,
        });
        let home = Home::new();
        home.file("password", "wordpass");
        for line in [
            format!("register {} --username a", server.url),
            format!("register {} --method oauth", server.url),
            format!("discover {}", server.url),
            format!("discover {} --try", server.url),
            format!("login --server {} --method oauth", server.url),
            format!("login --server {} --method device-code", server.url),
            format!("login a --server {} --password-file password", server.url),
        ] {
            let ended = home.run(&format!("{line} --no-input")).exit(3);
            assert!(ended.stderr.contains("is in trouble ("), "{line}: {ended}");
            for wrong in [
                "check the address",
                "does not let people register",
                "closed",
            ] {
                let said = format!("{}{}", ended.stdout, ended.stderr);
                assert!(!said.contains(wrong), "{line}: {ended}");
            }
        }
    }
}

#[test]
fn service_down_is_named() {
    // The homeserver's copy of the metadata is still there.
    let server = start(|metadata, request| {
        let mut metadata = metadata.clone();
        for key in ["issuer", "registration_endpoint", "token_endpoint"] {
            metadata[key] = json!("http://127.0.0.1:1/");
        }
        (request.path == AUTH_METADATA).then(|| object(200, metadata))
    });
    for line in ["register", "login --server"] {
        let line = format!("{line} {} --method oauth --no-input", server.url);
        let ended = Home::new().run(&line).exit(3);
        assert!(
            ended
                .stderr
                .contains("http://127.0.0.1:1 cannot be reached"),
            "{ended}"
        );
    }
}

// Signing up.

#[test]
fn closed_sign_up_is_said_before_a_page() {
    for (copy, own) in [
        (json!(["login"]), json!(["login"])),
        (json!(["login"]), Value::Null),
        (json!(["login", "create"]), json!(["login"])),
    ] {
        let (shown, is_old) = (copy.clone(), copy != own);
        let server = start(move |metadata, request| {
            let mut metadata = metadata.clone();
            metadata["prompt_values_supported"] = match request.path.as_str() {
                AUTH_METADATA => copy.clone(),
                OWN_METADATA => own.clone(),
                _ => return compatible(request),
            };
            Some(object(200, metadata))
        });
        let home = Home::new();
        let ended = Browser::new(&home).run(
            home.command(&format!("register {} --json", server.url)),
            |url| panic!("{url} is opened"),
        );
        let json = ended.exit(7).json();
        let message = json["error"]["message"].as_str().unwrap();
        assert!(message.contains("does not let people sign up"), "{message}");
        let next = json["next"].as_str().unwrap();
        assert!(next.contains(" login --server "), "{next}");
        assert!(next.contains(" --method oauth"), "{next}");
        assert_eq!(home.store()["tables"]["oauth_logins"], json!({}));
        if !is_old {
            let ended = home.run(&format!("discover {}", server.url)).exit(0);
            assert!(
                ended.stdout.contains("does not let people sign up"),
                "{shown}: {ended}"
            );
        }
        on_page(
            &home,
            &format!("login --server {} --method oauth", server.url),
        )
        .exit(0);
    }
}

#[test]
fn existing_account_is_not_called_registered() {
    let devices = |names: &'static [&'static str]| {
        start(move |_, request| {
            let devices: Vec<Value> = names
                .iter()
                .map(|name| json!({ "device_id": name, "last_seen_ts": 1_700_000_000_000_u64 }))
                .collect();
            (request.path == DEVICES).then(|| object(200, json!({ "devices": devices })))
        })
    };
    for (names, existed) in [
        (&["LAPTOP"][..], false),
        (&[], false),
        (&["LAPTOP", "OLDPHONE"], true),
        (&["OLDPHONE", "LAPTOP", "TABLET"], true),
    ] {
        let (home, server) = (Home::new(), devices(names));
        let json = on_page(
            &home,
            &format!("register {} --method oauth --json", server.url),
        )
        .exit(0)
        .json();
        assert_eq!(json["existed"] == true, existed, "{names:?}");
        // The second time it is known here, whatever its devices are.
        let again = on_page(&home, &format!("register {} --method oauth", server.url)).exit(0);
        assert!(
            again
                .stdout
                .starts_with("signed in as @new:b.test on device "),
            "{again}"
        );
        assert!(
            again.stdout.contains("this account existed before"),
            "{again}"
        );
        assert!(!again.stdout.contains("registered"), "{again}");
    }
    // A server that does not list devices says nothing against it.
    let (home, server) = (Home::new(), start(|_, _| None));
    let ended = on_page(&home, &format!("register {} --method oauth", server.url)).exit(0);
    assert!(
        ended.stdout.starts_with("registered @new:b.test"),
        "{ended}"
    );
}

#[test]
fn resumed_registration_names_an_existing_account() {
    let server = start(|_, request| {
        let devices = json!([{ "device_id": "LAPTOP" }, { "device_id": "OLDPHONE" }]);
        (request.path == DEVICES).then(|| object(200, json!({ "devices": devices })))
    });
    let home = Home::new();
    let line = format!("register {} --method oauth --no-input --json", server.url);
    let waits = home.run(&line).exit(6).json();
    let id = waits["error"]["resume"].as_str().unwrap();
    let json = on_page(&home, &format!("register --resume {id} --json"))
        .exit(0)
        .json();
    assert_eq!(json["existed"], true);
}

// The account afterwards.

fn lines_of_account_pages() -> Vec<&'static str> {
    vec![
        "password --new-password-file new --password-file password",
        "email add a@example.org",
        "email remove a@example.org",
        "email list",
        "phone add GB:07700900001",
        "phone remove +447700900001",
        "deactivate --yes",
    ]
}

#[test]
fn account_page_replaces_missing_operations() {
    let by_password = start(|_, request| compatible(request));
    let by_oauth = start(|_, _| None);
    for (server, home) in [
        (&by_password, signed_in_by_password(&by_password)),
        (&by_oauth, signed_in(&by_oauth)),
    ] {
        home.file("new", "another wordpass");
        home.file("password", "wordpass");
        for line in lines_of_account_pages() {
            let before = home.store()["tables"]["accounts"].clone();
            let ended = home.run(&format!("account {line} --no-input --json"));
            let ended = ended.exit(6);
            let shown = ended.json();
            assert_eq!(
                shown["error"]["url"],
                format!("{}/account", server.url),
                "{line}: {ended}"
            );
            // What has not happened is not announced.
            for wrong in ["is closed for good", "is changed", "M_UNRECOGNIZED"] {
                assert!(!ended.stderr.contains(wrong), "{line}: {ended}");
            }
            assert_eq!(home.store()["tables"]["accounts"], before, "{line}");
        }
        let ended = home.run("account devices delete OLDOLDOLDOLD --no-input");
        let ended = ended.exit(6);
        assert!(ended.stderr.contains("/account"), "{ended}");
    }
    // The service is down, and an old session does not know it.
    let server = start(|_, request| match request.path.as_str() {
        AUTH_METADATA => Some(error(500, "M_UNKNOWN", "Internal server error")),
        _ => compatible(request),
    });
    let home = signed_in_by_password(&server);
    let ended = home.run("account deactivate --yes --no-input").exit(3);
    assert!(ended.stderr.contains("is in trouble ("), "{ended}");
    // Without a service, the operation is only missing.
    let server = start(|_, request| match request.path.as_str() {
        AUTH_METADATA => Some(error(404, "M_UNRECOGNIZED", "no such path")),
        _ => compatible(request),
    });
    let home = signed_in_by_password(&server);
    let ended = home.run("account deactivate --yes --no-input").exit(1);
    assert!(ended.stderr.contains("M_UNRECOGNIZED"), "{ended}");
    assert!(!ended.stderr.contains("is closed for good"), "{ended}");
}

#[test]
fn account_page_has_listed_actions_only() {
    for (listed, query) in [
        (
            json!(["org.matrix.profile", "org.matrix.account_deactivate"]),
            "?action=org.matrix.account_deactivate",
        ),
        (json!(["org.matrix.profile"]), ""),
        (Value::Null, ""),
    ] {
        let server = start(move |metadata, request| {
            let mut metadata = metadata.clone();
            metadata["account_management_actions_supported"] = listed.clone();
            (request.path == AUTH_METADATA).then(|| object(200, metadata))
        });
        let home = signed_in(&server);
        let shown = home
            .run("account deactivate --no-input --json")
            .exit(6)
            .json();
        assert_eq!(
            shown["error"]["url"],
            format!("{}/account{query}", server.url)
        );
    }
}

#[test]
fn locked_user_keeps_the_session() {
    let is_locked = Arc::new(AtomicUsize::new(0));
    let locked = Arc::clone(&is_locked);
    let server = start(move |_, request| {
        let is_refused = request.path == WHOAMI && locked.load(SeqCst) > 0;
        is_refused.then(|| {
            object(
                401,
                json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "Token is not active",
                    "soft_logout": false }),
            )
        })
    });
    let home = signed_in(&server);
    is_locked.store(1, SeqCst);
    let ended = home.run("whoami").exit(4);
    assert!(
        ended
            .stderr
            .contains("accepts no token of @new:b.test, not even a new one"),
        "{ended}"
    );
    assert!(ended.stderr.contains("may be locked"), "{ended}");
    assert!(home.account()["access_token"].is_string());
    is_locked.store(0, SeqCst);
    home.run("whoami").exit(0);
}

// The device.

#[test]
fn short_device_id_is_refused_before_a_page() {
    let server = start(|_, _| None);
    for method in ["oauth", "device-code"] {
        let home = Home::new();
        let line = format!(
            "login --server {} --method {method} --device-id LAPTOP",
            server.url
        );
        let ended = home.run(&line).exit(2);
        assert!(ended.stderr.contains("\"LAPTOP\""), "{ended}");
        assert!(ended.stderr.contains("at least ten"), "{ended}");
    }
    let asked = server.requests();
    assert!(asked.iter().all(|one| one.path != "/clients"));
}

#[test]
fn device_name_hint_and_admin_api_are_sent() {
    let named = "/_matrix/client/v3/devices/LAPTOP";
    for refuses in [false, true] {
        let server = start(move |_, request| {
            (request.path == named).then(|| match refuses {
                true => error(404, "M_UNRECOGNIZED", "Unrecognized request"),
                false => object(200, json!({})),
            })
        });
        let home = Home::new();
        let line = format!(
            "login @new:b.test --server {} --method oauth --device-name kitchen --admin",
            server.url
        );
        let ended = on_page(&home, &line).exit(0);
        let asked = server.requests();
        let page = asked.iter().find(|one| one.path == "/authorize").unwrap();
        let page = fields(&page.query);
        assert_eq!(page["login_hint"], "mxid:@new:b.test");
        assert!(
            page["scope"].ends_with(" urn:synapse:admin:*"),
            "{}",
            page["scope"]
        );
        let put = asked.iter().find(|one| one.path == named).unwrap();
        assert_eq!(put.method, "PUT");
        assert_eq!(put.body, json!({ "display_name": "kitchen" }));
        assert_eq!(
            ended.stderr.contains("is not called kitchen"),
            refuses,
            "{ended}"
        );
    }
}

#[test]
fn user_agent_names_the_system() {
    let server = start(|_, _| None);
    let home = signed_in(&server);
    home.run("whoami").exit(0);
    let asked = server.requests();
    let token = asked.iter().find(|one| one.path == "/token").unwrap();
    let agent = &token.headers["user-agent"];
    // The form that services read: the program, then the device, then the system.
    let (program, system) = agent.split_once(' ').unwrap();
    assert!(program.starts_with("matricula/"), "{agent}");
    let segments: Vec<&str> = system.split("; ").collect();
    let [device, system] = segments[..] else {
        panic!("{agent}")
    };
    let device = device.strip_prefix('(').unwrap();
    let system = system.strip_suffix(')').unwrap();
    assert!(!system.is_empty() && device.starts_with(system), "{agent}");
}

// Administrators and application services.

#[test]
fn refused_creation_says_why() {
    let words = "User creation via the Admin API is not available when Synapse is delegating \
                 authentication to MAS. Create the user via MAS instead.";
    let users = "/_synapse/admin/v2/users/";
    let server = start(move |_, request| {
        let is_user = request.path.starts_with(users);
        match (is_user, request.method.as_str()) {
            (true, "GET") if request.path.contains("new") => {
                Some(object(200, json!({ "name": "@new:b.test", "admin": true })))
            }
            (true, "GET") => Some(error(404, "M_NOT_FOUND", "User not found")),
            (true, _) => Some(error(403, "M_FORBIDDEN", words)),
            _ => None,
        }
    });
    let home = signed_in(&server);
    home.run("admin user show @new:b.test").exit(0);
    let rows: String = (0..50).map(|row| format!("bob{row}\n")).collect();
    home.file("list.csv", &format!("username\n{rows}"));
    for line in [
        "admin user create @bob:b.test",
        "register --from list.csv --run class",
    ] {
        let ended = home.run(line).exit(7);
        assert!(ended.stderr.contains(words), "{line}: {ended}");
        assert!(!ended.stderr.contains("is not an administrator"), "{ended}");
    }
    let asked = server.requests();
    let created = asked.iter().filter(|one| one.method == "PUT").count();
    assert!(created < 20, "the run ends early: {created}");
}

#[test]
fn refused_administrator_can_ask_for_it() {
    let server = start(|_, request| {
        let is_admin = request.path.starts_with("/_synapse/admin/");
        is_admin.then(|| error(403, "M_FORBIDDEN", "You are not a server admin"))
    });
    let home = signed_in(&server);
    for line in [
        "admin user show @a:b.test",
        "admin user create @a:b.test",
        "admin token list",
    ] {
        let ended = home.run(line).exit(7);
        assert!(
            ended.stderr.contains("You are not a server admin"),
            "{ended}"
        );
        assert!(
            ended
                .stderr
                .contains("login @new:b.test --method oauth --admin"),
            "{ended}"
        );
    }
}

#[test]
fn application_service_acts_with_its_token() {
    let old = start(|_, request| compatible(request));
    let new = start(|_, _| None);
    for server in [old, new] {
        let home = Home::new();
        home.file("as", "as-token");
        let line = format!(
            "login @_bridge_a:b.test --server {} --appservice-token-file as",
            server.url
        );
        let ended = home.run(&line).exit(7);
        let words = "act as them with the token of the service";
        assert!(ended.stderr.contains(words), "{ended}");
    }
}
