//! Application services.

use matricula_core::Method;
use matricula_homeserver::{ApplicationService, Config, OAuth, Registration};
use serde_json::{Value, json};

use crate::{LOGIN, REGISTER, Reply, TestServer, TestUser, WHOAMI, text};

const TOKEN: &str = "as-token";

fn service() -> ApplicationService {
    ApplicationService::new("irc", TOKEN, "_irc").user_prefix("_irc_")
}

fn home() -> TestServer {
    TestServer::new(Config::default().application_service(service()))
}

fn body(username: &str) -> Value {
    json!({ "type": "m.login.application_service", "username": username })
}

fn register(home: &mut TestServer, username: &str) -> Reply {
    home.post_as(TOKEN, REGISTER, body(username))
}

#[test]
fn service_registers_own_users_without_stages() {
    let mut home = home();
    let me = TestUser::of(&register(&mut home, "_irc_Alice").ok());
    assert_eq!(me.user_id, "@_irc_alice:private.localhost");
    home.whoami(&me.token).ok();
    register(&mut home, "_irc_alice").err(400, "M_USER_IN_USE");
    let mut quiet = body("_irc_bob");
    quiet["inhibit_login"] = json!(true);
    let json = home.post_as(TOKEN, REGISTER, quiet).ok();
    assert_eq!(json, json!({ "user_id": "@_irc_bob:private.localhost" }));
}

#[test]
fn service_registers_only_own_users() {
    let mut home = home();
    register(&mut home, "alice").err(400, "M_EXCLUSIVE");
    register(&mut home, "_irc_Ä").err(400, "M_INVALID_USERNAME");
    home.post_as(
        TOKEN,
        REGISTER,
        json!({ "type": "m.login.application_service" }),
    )
    .err(400, "M_MISSING_PARAM");
    home.post_as("guess", REGISTER, body("_irc_alice"))
        .err(401, "M_UNKNOWN_TOKEN");
    home.post(REGISTER, body("_irc_alice"))
        .err(401, "M_MISSING_TOKEN");
    home.post_as(TOKEN, REGISTER, json!({ "username": "_irc_alice" }))
        .err(400, "M_UNKNOWN");
}

#[test]
fn only_service_registers_its_users() {
    let service = ApplicationService::new("irc", TOKEN, "bot").user_prefix("irc-");
    let mut home = TestServer::new(Config::default().application_service(service));
    for name in ["irc-alice", "bot"] {
        home.register_named(name).err(400, "M_EXCLUSIVE");
        home.get(&format!(
            "/_matrix/client/v3/register/available?username={name}"
        ))
        .err(400, "M_EXCLUSIVE");
    }
    home.register_named("alice").ok();
}

#[test]
fn service_registers_where_closed() {
    let config = Config::default()
        .registration(Registration::Closed)
        .application_service(service());
    register(&mut TestServer::new(config), "_irc_alice").ok();
}

#[test]
fn service_logs_in_as_its_users() {
    let mut home = home();
    register(&mut home, "_irc_alice").ok();
    home.register_named("alice").ok();
    let mut login = |token: &str, user: &str| {
        let identifier = json!({ "type": "m.id.user", "user": user });
        let body = json!({ "type": "m.login.application_service", "identifier": identifier });
        home.post_as(token, LOGIN, body)
    };
    let me = TestUser::of(&login(TOKEN, "@_irc_alice:private.localhost").ok());
    login(TOKEN, "alice").err(403, "M_FORBIDDEN");
    login(TOKEN, "_irc_nobody").err(403, "M_FORBIDDEN");
    login("guess", "_irc_alice").err(401, "M_UNKNOWN_TOKEN");
    home.whoami(&me.token).ok();
    let flows = home.get(LOGIN).ok();
    let flow = json!({ "type": "m.login.application_service" });
    assert!(flows["flows"].as_array().unwrap().contains(&flow));
}

#[test]
fn service_users_have_no_password() {
    let mut home = home();
    register(&mut home, "_irc_alice").ok();
    home.login("_irc_alice", json!({})).err(403, "M_FORBIDDEN");
}

#[test]
fn service_masquerades_as_its_users() {
    let mut home = home();
    let me = TestUser::of(&register(&mut home, "_irc_alice").ok());
    home.register_named("alice").ok();
    let own = home.whoami(TOKEN).ok();
    assert_eq!(own["user_id"], "@_irc:private.localhost");
    assert_eq!(own.get("device_id"), None);
    let acting = |user: &str| format!("{WHOAMI}?user_id={user}");
    let json = home.get_as(TOKEN, &acting(&me.user_id)).ok();
    assert_eq!(json["user_id"], me.user_id);
    for user in ["@alice:private.localhost", "@_irc_nobody:private.localhost"] {
        home.get_as(TOKEN, &acting(user)).err(403, "M_FORBIDDEN");
    }
    // The service can do what its user can do.
    let path = format!(
        "/_matrix/client/v3/profile/{0}/displayname?user_id={0}",
        me.user_id
    );
    let body = json!({ "displayname": "Alice (IRC)" });
    home.call_as(TOKEN, Method::Put, &path, body).ok();
}

#[test]
fn masqueraded_device_must_exist() {
    let mut home = home();
    let json = register(&mut home, "_irc_alice").ok();
    let (user, device) = (text(&json, "user_id"), text(&json, "device_id"));
    let acting = |device: &str| format!("{WHOAMI}?user_id={user}&device_id={device}");
    let me = home.get_as(TOKEN, &acting(&device)).ok();
    assert_eq!(me["device_id"], device);
    home.get_as(TOKEN, &acting("NONE"))
        .err(400, "M_UNKNOWN_DEVICE");
}

#[test]
fn service_login_unsupported_in_some_modes() {
    for config in [
        Config::default().application_service(service().manages_devices(true)),
        Config::default()
            .application_service(service())
            .oauth(OAuth::instead()),
    ] {
        let mut home = TestServer::new(config);
        register(&mut home, "_irc_alice").err(400, "M_APPSERVICE_LOGIN_UNSUPPORTED");
        let mut quiet = body("_irc_alice");
        quiet["inhibit_login"] = json!(true);
        home.post_as(TOKEN, REGISTER, quiet).ok();
        let acting = format!("{WHOAMI}?user_id=@_irc_alice:private.localhost");
        home.get_as(TOKEN, &acting).ok();
    }
    let config = Config::default().application_service(service().manages_devices(true));
    let identifier = json!({ "type": "m.id.user", "user": "_irc" });
    let body = json!({ "type": "m.login.application_service", "identifier": identifier });
    TestServer::new(config)
        .post_as(TOKEN, LOGIN, body)
        .err(400, "M_APPSERVICE_LOGIN_UNSUPPORTED");
}
