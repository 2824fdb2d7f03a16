//! Profiles that add ways to log in.

use serde_json::{Value, json};

use super::{PASSWORD, REGISTER, Registration, Site, unique};
use crate::http::{Browser, call};

const PROFILES: &str = "appservice+logintoken+sso";
const LOGIN: &str = "/_matrix/client/v3/login";
/// The redirect URL of the client. It is never opened.
const CLIENT: &str = "http://127.0.0.1:9/done";

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn registration_stays_open() {
    let site = Site::of(PROFILES);
    assert_eq!(site.flows(), ["dummy"]);
    Registration::start(&site, "anyone").end("dummy", json!({}));
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn appservice_registers_and_logs_in() {
    let site = Site::of(PROFILES);
    let as_token = site.info_at("/appservice/as_token");
    let namespace = site.info_at("/appservice/namespace");
    let prefix = namespace.strip_prefix('@').unwrap();
    let prefix = prefix.strip_suffix(".*").unwrap();

    let name = unique(&format!("{prefix}ghost"));
    let register = |name: &str| {
        let body = json!({ "type": "m.login.application_service", "username": name });
        call("POST", &site.url(REGISTER), Some(as_token), Some(&body))
    };
    let made = register(&name);
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(made.json()["user_id"], site.user_id(&name));
    let outside = register(&unique("outside"));
    assert_eq!(outside.json()["errcode"], "M_EXCLUSIVE", "{outside:?}");
    let body = json!({ "username": unique(prefix), "password": PASSWORD });
    let stranger = site.post(REGISTER, &body);
    assert_eq!(stranger.json()["errcode"], "M_EXCLUSIVE", "{stranger:?}");

    let sender = site.info_at("/appservice/sender");
    assert_eq!(site.whoami(as_token)["user_id"], sender);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn login_token_signs_in() {
    let site = Site::of(PROFILES);
    let registration = Registration::start(&site, "two-devices");
    let first = registration.end("dummy", json!({}));

    let url = site.url("/_matrix/client/v1/login/get_token");
    let asked = call("POST", &url, Some(&first), Some(&json!({})));
    assert_eq!(asked.status, 401, "the password first: {asked:?}");
    let auth = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": registration.name },
        "password": PASSWORD,
        "session": asked.json()["session"],
    });
    let given = call("POST", &url, Some(&first), Some(&json!({ "auth": auth })));
    assert_eq!(given.status, 200, "{given:?}");
    let token = given.json()["login_token"].take();
    let user = site.user_id(&registration.name);
    assert_eq!(sign_in(&site, &token), user);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn single_sign_on_signs_in() {
    let site = Site::of(PROFILES);
    let flows = call("GET", &site.url(LOGIN), None, None).json();
    let flows = flows["flows"].as_array().unwrap();
    let sso = flows.iter().find(|flow| flow["type"] == "m.login.sso");
    let provider = &sso.unwrap()["identity_providers"][0]["id"];
    assert_eq!(*provider, site.info_at("/sso/provider"));

    let name = unique("single");
    let mut browser = Browser::default();
    let page = provider_page(&site, &mut browser);
    let form = browser.get(&page);
    assert_eq!(form.status, 200, "{form:?}");
    assert!(form.body.contains("<form>"), "{form:?}");
    let end = follow(&mut browser, format!("{page}&user={name}"));
    let (client, token) = end.split_once("?loginToken=").unwrap();
    assert_eq!(client, CLIENT);
    assert_eq!(sign_in(&site, &json!(token)), site.user_id(&name));
    let again = site.post(LOGIN, &json!({ "type": "m.login.token", "token": token }));
    assert_eq!(again.status, 403, "it is good for once: {again:?}");
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn single_sign_on_needs_the_cookies() {
    let site = Site::of(PROFILES);
    let page = provider_page(&site, &mut Browser::default());
    let back = call("GET", &format!("{page}&user=anyone"), None, None);
    let refused = call("GET", back.location(), None, None);
    assert_eq!(refused.status, 400, "{refused:?}");
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn single_sign_on_can_be_refused() {
    let site = Site::of(PROFILES);
    let mut browser = Browser::default();
    let page = provider_page(&site, &mut browser);
    let back = browser.get(&format!("{page}&refuse=yes"));
    let refused = browser.get(back.location());
    assert!(!(200..400).contains(&refused.status), "{refused:?}");
    assert!(refused.body.contains("access_denied"), "{refused:?}");
}

/// Follows the redirects from the client to the provider's page.
fn provider_page(site: &Site, browser: &mut Browser) -> String {
    let provider = site.info_at("/sso/provider");
    let start = site.url(&format!(
        "{LOGIN}/sso/redirect/{provider}?redirectUrl={CLIENT}"
    ));
    let page = browser.get(&start).location().to_owned();
    assert!(page.starts_with(site.info_at("/sso/issuer")), "{page}");
    page
}

/// Follows redirects until they lead back to the client.
fn follow(browser: &mut Browser, mut url: String) -> String {
    for _ in 0..10 {
        if url.starts_with(CLIENT) {
            return url;
        }
        url = browser.get(&url).location().to_owned();
    }
    panic!("too many redirects: {url}");
}

/// Signs in with a token. Returns the user id.
fn sign_in(site: &Site, token: &Value) -> String {
    let body = json!({ "type": "m.login.token", "token": token });
    let answer = site.post(LOGIN, &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["user_id"].as_str().unwrap().to_owned()
}
