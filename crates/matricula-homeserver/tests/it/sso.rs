//! Single sign-on and login tokens.

use std::time::Duration;

use matricula_homeserver::{Config, Homeserver, OAuth, Sso};
use serde_json::{Value, json};

use crate::{
    LOGIN, PASSWORD, Reply, TestServer,
    browser::{BrowserRedirect, link, press, sign_in},
    text,
};

const REDIRECT: &str = "/_matrix/client/v3/login/sso/redirect";
const BACK: &str = "http%3A%2F%2F127.0.0.1%3A4567%2Fback%3Fnonce%3D1";

fn home() -> TestServer {
    let sso = Sso::default().provider("house", "The House");
    let mut home = TestServer::new(Config::default().sso(sso));
    home.register_named("alice").ok();
    home
}

/// The endpoint that redirects to the page.
#[track_caller]
fn page(home: &mut TestServer, address: &str) -> String {
    let reply = home.send(link(address));
    assert_eq!(reply.0.status, 302, "{}", reply.text());
    reply.header("Location").unwrap().to_owned()
}

#[track_caller]
fn token(home: &mut TestServer) -> String {
    let address = page(home, &format!("{REDIRECT}?redirectUrl={BACK}"));
    let consent = sign_in(home, &address, "alice", PASSWORD);
    let led = BrowserRedirect::of(&press(home, &address, &consent, "allow", &[]));
    led.parameter("loginToken").unwrap().to_owned()
}

fn login(home: &mut TestServer, token: &str) -> Reply {
    home.post(LOGIN, json!({ "type": "m.login.token", "token": token }))
}

#[test]
fn login_flows_list_providers() {
    let flows = |sso: Option<Sso>| {
        let mut config = Config::default();
        config.sso = sso;
        TestServer::new(config).get(LOGIN).ok()["flows"].clone()
    };
    assert_eq!(flows(None), json!([{ "type": "m.login.password" }]));
    let sso = Sso::default().provider("house", "The House");
    let expected = json!([
        { "type": "m.login.password" },
        { "type": "m.login.sso",
          "identity_providers": [{ "id": "house", "name": "The House" }] },
        { "type": "m.login.token" },
    ]);
    assert_eq!(flows(Some(sso)), expected);
    let preferred = flows(Some(Sso::default().preferred(true)));
    assert_eq!(preferred[1]["oauth_aware_preferred"], true);
}

#[test]
fn login_token_signs_client_in() {
    let mut home = home();
    let address = page(&mut home, &format!("{REDIRECT}/house?redirectUrl={BACK}"));
    let consent = sign_in(&mut home, &address, "alice", PASSWORD);
    assert!(
        consent.text().contains("a program on this device"),
        "{}",
        consent.text()
    );
    let reply = press(&mut home, &address, &consent, "allow", &[]);
    let location = reply.header("Location").unwrap();
    let start = "http://127.0.0.1:4567/back?nonce=1&loginToken=";
    let token = location
        .strip_prefix(start)
        .unwrap_or_else(|| panic!("{location}"));
    let body = json!({ "type": "m.login.token", "token": token, "device_id": "MYDEVICE",
        "refresh_token": true });
    let session = home.post(LOGIN, body).ok();
    assert_eq!(session["user_id"], "@alice:private.localhost");
    assert_eq!(session["device_id"], "MYDEVICE");
    assert!(session["refresh_token"].is_string());
    home.whoami(&text(&session, "access_token")).ok();
}

#[test]
fn register_action_shows_sign_up() {
    let mut home = home();
    let address = page(
        &mut home,
        &format!("{REDIRECT}?redirectUrl={BACK}&action=register"),
    );
    let form = home.send(link(&address));
    assert!(
        form.text().contains("<h1>Create an account</h1>"),
        "{}",
        form.text()
    );
    let fields = [("username", "bob"), ("password", "p")];
    let consent = press(&mut home, &address, &form, "sign-up", &fields);
    let led = BrowserRedirect::of(&press(&mut home, &address, &consent, "allow", &[]));
    let token = led.parameter("loginToken").unwrap();
    let session = login(&mut home, token).ok();
    assert_eq!(session["user_id"], "@bob:private.localhost");
}

#[test]
fn login_token_expires_and_works_once() {
    let mut home = home();
    let first = token(&mut home);
    login(&mut home, &first).ok();
    login(&mut home, &first).err(403, "M_FORBIDDEN");
    let second = token(&mut home);
    home.wait(Duration::from_millis(119_999));
    login(&mut home, &second).ok();
    let third = token(&mut home);
    home.wait(Duration::from_secs(120));
    login(&mut home, &third).err(403, "M_FORBIDDEN");
    login(&mut home, "invented").err(403, "M_FORBIDDEN");
    let body = json!({ "type": "m.login.token" });
    home.post(LOGIN, body).err(400, "M_MISSING_PARAM");
}

#[test]
fn failed_login_keeps_token() {
    let mut home = home();
    let token = token(&mut home);
    let body = json!({ "type": "m.login.token", "token": token, "device_id": "" });
    home.post(LOGIN, body).err(400, "M_INVALID_PARAM");
    login(&mut home, &token).ok();
}

#[test]
fn only_safe_redirects_are_allowed() {
    let mut home = home();
    for good in [
        "https%3A%2F%2Fapp.example.com%2F",
        "http%3A%2F%2Flocalhost%3A1%2F",
        "com.example.app%3A%2Fback",
    ] {
        let address = page(&mut home, &format!("{REDIRECT}?redirectUrl={good}"));
        assert_eq!(home.send(link(&address)).0.status, 200);
    }
    for bad in [
        "javascript%3Aalert(1)",
        "JavaScript%3Aalert(1)",
        "+javascript%3Aalert(1)",
        "java%0Ascript%3Aalert(1)",
        "data%3Atext%2Fhtml%2Cx",
        "vbscript%3Ax",
        "file%3A%2F%2F%2Fetc%2Fpasswd",
        "blob%3Ahttps%3A%2F%2Fexample.com%2Fx",
        "ms-msdt%3A%2Fid",
        "intent%3A%2F%2Fexample%2F%23Intent%3Bend",
        "element%3A%2F%2Fvector%2Fwebapp%2F",
        "https%3A%2F%2Fexample.com%40evil.org%2F",
        "%2F%2Fevil.org",
        "relative",
        "",
    ] {
        let query = format!("redirectUrl={bad}");
        home.send(link(&format!("{REDIRECT}?{query}")))
            .err(400, "M_INVALID_PARAM");
        let page = home.send(link(&format!("/_matricula/sso?{query}")));
        assert_eq!(page.0.status, 400, "{bad}: {}", page.text());
    }
}

#[test]
fn listed_scheme_is_allowed() {
    let sso = Sso::default().redirect_scheme("element");
    let mut home = TestServer::new(Config::default().sso(sso));
    home.register_named("alice").ok();
    let target = "element%3A%2F%2Fvector%2Fwebapp%2F%3Fa%3Db";
    let address = page(&mut home, &format!("{REDIRECT}?redirectUrl={target}"));
    let consent = sign_in(&mut home, &address, "alice", PASSWORD);
    let shown = "<code>element://vector/webapp/</code>";
    assert!(consent.text().contains(shown), "{}", consent.text());
    let reply = press(&mut home, &address, &consent, "allow", &[]);
    let location = reply.header("Location").unwrap();
    assert!(location.starts_with("element://vector/webapp/?a=b&loginToken="));
    home.send(link(&format!("{REDIRECT}?redirectUrl=vector%3A%2F%2Fx")))
        .err(400, "M_INVALID_PARAM");
}

#[test]
fn unsafe_scheme_cannot_be_listed() {
    for scheme in ["javascript", "data", "intent", "Element", "a b", "", "1a"] {
        let sso = Sso::default().redirect_scheme(scheme);
        let error = Homeserver::new(Config::default().sso(sso)).err().unwrap();
        let error = error.to_string();
        assert!(error.contains("redirect scheme"), "{scheme}: {error}");
    }
}

#[test]
fn consent_shows_where_it_leads() {
    let mut home = home();
    for (target, shown) in [
        (BACK, "http://127.0.0.1:4567/back"),
        (
            "https%3A%2F%2Fapp.example.com%3A8443%2Fx%3Fy%23z",
            "https://app.example.com:8443/x",
        ),
        ("com.example.app%3A%2Fback", "com.example.app:/back"),
    ] {
        let address = page(&mut home, &format!("{REDIRECT}?redirectUrl={target}"));
        let consent = sign_in(&mut home, &address, "alice", PASSWORD);
        let shown = format!("<code>{shown}</code>");
        assert!(consent.text().contains(&shown), "{}", consent.text());
    }
}

#[test]
fn cancelled_sso_signs_nobody_in() {
    let mut home = home();
    let address = page(&mut home, &format!("{REDIRECT}?redirectUrl={BACK}"));
    let consent = sign_in(&mut home, &address, "alice", PASSWORD);
    let reply = press(&mut home, &address, &consent, "cancel", &[]);
    assert_eq!(reply.header("Location"), None);
    assert!(
        reply.text().contains("You are not signed in"),
        "{}",
        reply.text()
    );
}

#[test]
fn disabled_sso_has_no_endpoints() {
    let mut without = TestServer::open();
    without
        .send(link(&format!("{REDIRECT}?redirectUrl={BACK}")))
        .err(404, "M_UNRECOGNIZED");
    without
        .send(link(&format!("/_matricula/sso?redirectUrl={BACK}")))
        .err(404, "M_UNRECOGNIZED");
    login(&mut without, "x").err(400, "M_UNKNOWN");
    let mut home = home();
    home.send(link(&format!("{REDIRECT}/other?redirectUrl={BACK}")))
        .err(404, "M_NOT_FOUND");
    home.send(link(REDIRECT)).err(400, "M_MISSING_PARAM");
}

#[test]
fn sso_may_be_registration_stage() {
    let config = Config::default().flows([["m.login.sso"]]);
    let mut home = TestServer::new(config);
    let body = json!({ "username": "carol", "password": PASSWORD });
    let session = text(&home.post(crate::REGISTER, body).more(), "session");
    let address = format!("/_matrix/client/v3/auth/m.login.sso/fallback/web?session={session}");
    let page = home.send(crate::browser::form(&address, &[]));
    assert!(page.text().contains("onAuthDone"), "{}", page.text());
    let body = json!({ "auth": { "session": session } });
    let done: Value = home.post(crate::REGISTER, body).ok();
    assert_eq!(done["user_id"], "@carol:private.localhost");
}

#[test]
fn sso_conflicts_with_oauth_only() {
    let config = Config::default()
        .sso(Sso::default())
        .oauth(OAuth::instead());
    let error = Homeserver::new(config).err().unwrap().to_string();
    assert!(error.contains("single sign-on"), "{error}");
}
