//! Discovery, and unknown endpoints.

use matricula_core::Method;
use matricula_homeserver::Config;
use serde_json::json;

use crate::{LOGIN, REGISTER, TestServer, get};

#[test]
fn versions_are_listed() {
    let json = TestServer::open().get("/_matrix/client/versions").ok();
    let versions: Vec<_> = json["versions"].as_array().unwrap().iter().collect();
    assert!(versions.contains(&&json!("v1.1")) && versions.contains(&&json!("v1.19")));
}

#[test]
fn well_known_has_base_url() {
    let config = Config::default().base_url("https://hs.example.org/x/".parse().unwrap());
    let json = TestServer::new(config)
        .get("/.well-known/matrix/client")
        .ok();
    assert_eq!(
        json,
        json!({ "m.homeserver": { "base_url": "https://hs.example.org/x" } })
    );
}

#[test]
fn password_login_is_offered() {
    let json = TestServer::open().get(LOGIN).ok();
    assert_eq!(json, json!({ "flows": [{ "type": "m.login.password" }] }));
}

#[test]
fn capabilities_need_a_token() {
    let mut home = TestServer::open();
    let path = "/_matrix/client/v3/capabilities";
    home.get(path).err(401, "M_MISSING_TOKEN");
    let me = home.sign_up("alice");
    let json = home.get_as(&me.token, path).ok();
    let enabled = |name: &str| json["capabilities"][name]["enabled"].as_bool().unwrap();
    for name in [
        "m.change_password",
        "m.set_displayname",
        "m.set_avatar_url",
        "m.profile_fields",
    ] {
        assert!(enabled(name), "{name}");
    }
    assert!(!enabled("m.get_login_token"));
}

#[test]
fn unknown_paths_are_unrecognized() {
    let mut home = TestServer::open();
    for path in [
        "/",
        "",
        "/_matrix",
        "/_matrix/client/v1/auth_metadata",
        "/_matrix/client/v2/register",
        "/_matrix/client/v3/register/",
        "/_matrix/client/v3/search",
        "/_matricula/terms/none/en",
        "/%ff",
    ] {
        home.get(path).err(404, "M_UNRECOGNIZED");
    }
}

#[test]
fn wrong_method_lists_allowed_ones() {
    let mut home = TestServer::open();
    for (path, method, allowed) in [
        (REGISTER, Method::Get, "POST"),
        (LOGIN, Method::Put, "GET, POST"),
        ("/_matrix/client/versions", Method::Delete, "GET"),
        (
            "/_matrix/client/v3/auth/m.login.dummy/fallback/web",
            Method::Put,
            "GET, POST",
        ),
    ] {
        let mut request = get(path);
        request.method = method;
        let reply = home.send(request);
        assert_eq!(reply.header("Allow"), Some(allowed));
        reply.err(405, "M_UNRECOGNIZED");
    }
}
