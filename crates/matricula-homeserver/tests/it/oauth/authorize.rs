//! The page on which a person authorizes a client.

use std::time::Duration;

use matricula_api::oauth::{AuthorizationPrompt, ResponseMode, Scope, read_callback};
use matricula_core::Secret;
use matricula_homeserver::{
    Config, Limit, Limits, OAuth, PasswordCodes, PasswordPolicy, Policy, Registration,
    RegistrationToken,
};

use serde_json::json;

use super::{
    DEVICE_ID, REDIRECT, allow, client, home, redeem, register_client, request, sign_up_request,
    url,
};
use crate::{
    PASSWORD, Reply, TestServer,
    browser::{BrowserRedirect, form, link, press, sign_in, visit},
    text,
};

#[track_caller]
fn page(reply: &Reply, status: u16) -> &str {
    let page = reply.text();
    assert_eq!(reply.0.status, status, "{page}");
    assert!(page.starts_with("<!doctype html>"), "{page}");
    let policy = reply.header("Content-Security-Policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    page
}

#[test]
fn sign_in_returns_code_and_state() {
    let mut home = home();
    let client = client(&mut home);
    let led = allow(&mut home, &request(&client));
    assert_eq!(led.address, REDIRECT);
    assert_eq!(led.parameter("state"), Some("the state"));
    let code = led.parameter("code").unwrap();
    let tokens = redeem(&mut home, &client, code).ok();
    let me = home.whoami(&text(&tokens, "access_token")).ok();
    assert_eq!(me["user_id"], "@alice:private.localhost");
    assert_eq!(me["device_id"], DEVICE_ID);
}

#[test]
fn create_prompt_starts_with_sign_up() {
    let mut home = home();
    let client = client(&mut home);
    let address = url(&sign_up_request(&client));
    let form = home.send(link(&address));
    assert!(page(&form, 200).contains("<h1>Create an account</h1>"));
    let fields = [("username", "Bob"), ("password", "bobs own")];
    let consent = press(&mut home, &address, &form, "sign-up", &fields);
    assert!(page(&consent, 200).contains("@bob:private.localhost"));
    let led = BrowserRedirect::of(&press(&mut home, &address, &consent, "allow", &[]));
    let code = led.parameter("code").unwrap();
    let tokens = redeem(&mut home, &client, code).ok();
    let me = home.whoami(&text(&tokens, "access_token")).ok();
    assert_eq!(me["user_id"], "@bob:private.localhost");
    // The password works for `/login`, too.
    sign_in(&mut home, &url(&request(&client)), "bob", "bobs own");
}

#[test]
fn forms_link_to_each_other() {
    let mut home = home();
    let client = client(&mut home);
    let address = url(&request(&client));
    let first = home.send(link(&address));
    assert!(page(&first, 200).contains("<h1>Sign in</h1>"));
    let up = press(&mut home, &address, &first, "show-sign-up", &[]);
    assert!(page(&up, 200).contains("<h1>Create an account</h1>"));
    let back = press(&mut home, &address, &up, "show-sign-in", &[]);
    assert!(page(&back, 200).contains("<h1>Sign in</h1>"));
}

#[test]
fn page_names_client_and_escapes() {
    let mut home = home();
    let client = client(&mut home);
    let address = url(&request(&client));
    let consent = sign_in(&mut home, &address, "alice", PASSWORD);
    let consent = page(&consent, 200);
    assert!(consent.contains("Example &lt;Client&gt;"), "{consent}");
    for text in [
        "https://example.com/",
        DEVICE_ID,
        "a program on this device",
    ] {
        assert!(consent.contains(text), "{consent}");
    }
}

#[test]
fn form_action_allows_only_redirect() {
    let mut home = home();
    let client = client(&mut home);
    let form = home.send(link(&url(&request(&client))));
    let policy = form.header("Content-Security-Policy").unwrap();
    let expected = "form-action 'self' http://127.0.0.1:4567;";
    assert!(policy.contains(expected), "{policy}");
}

#[test]
fn form_errors_keep_the_username() {
    let mut home = home();
    let client = client(&mut home);
    let address = url(&request(&client));
    let first = home.send(link(&address));
    let fields = [("username", "alice"), ("password", "wrong")];
    let again = press(&mut home, &address, &first, "sign-in", &fields);
    let again_text = page(&again, 400);
    for part in [
        "role=\"alert\"",
        "aria-describedby=\"password-error\" aria-invalid=\"true\"",
        "id=\"password-error\"",
        "value=\"alice\"",
    ] {
        assert!(again_text.contains(part), "{part} in {again_text}");
    }
    assert!(!again_text.contains("wrong\""), "{again_text}");
    // The form can be corrected.
    let fields = [("username", "alice"), ("password", PASSWORD)];
    page(&press(&mut home, &address, &again, "sign-in", &fields), 200);
}

#[test]
fn sign_up_obeys_server_rules() {
    let policy = Policy::new("1").translation("en", "Rules", "Be kind.");
    let config = Config::default()
        .oauth(OAuth::instead())
        .flows([["m.login.registration_token", "m.login.terms"]])
        .policy("rules", policy)
        .registration_token(RegistrationToken::new("once").uses_allowed(1))
        .password_policy(PasswordPolicy::strict(PasswordCodes::Named));
    let mut home = TestServer::new(config);
    let client = client(&mut home);
    let address = url(&sign_up_request(&client));
    let mut page_now = home.send(link(&address));
    let good = [
        ("username", "carol"),
        ("password", "Passw0rd!"),
        ("token", "once"),
        ("accept", "rules"),
    ];
    for (field, value, said) in [
        ("username", "with space", "username-error"),
        ("username", "12345", "username-error"),
        ("password", "short", "password-error"),
        ("token", "barley", "token-error"),
        ("accept", "other", "id=\"accept-error\">All of them must"),
    ] {
        let fields = good.map(|(name, ok)| (name, if name == field { value } else { ok }));
        page_now = press(&mut home, &address, &page_now, "sign-up", &fields);
        assert!(
            page(&page_now, 400).contains(said),
            "{field}: {}",
            page_now.text()
        );
    }
    page(
        &press(&mut home, &address, &page_now, "sign-up", &good),
        200,
    );
    // The token is used up, and the name is taken.
    for (username, said) in [("carol", "taken"), ("dave", "used up")] {
        let mut fields = good;
        fields[0].1 = username;
        let first = home.send(link(&address));
        let reply = press(&mut home, &address, &first, "sign-up", &fields);
        assert!(page(&reply, 400).contains(said), "{}", reply.text());
    }
}

#[test]
fn closed_registration_offers_no_sign_up() {
    let config = Config::default()
        .oauth(OAuth::beside())
        .registration(Registration::Closed);
    let mut home = TestServer::new(config);
    let client = client(&mut home);
    let address = url(&sign_up_request(&client));
    let form = home.send(link(&address));
    assert!(!page(&form, 200).contains("Create an account"));
    let fields = [("username", "eve"), ("password", "p")];
    page(&press(&mut home, &address, &form, "sign-up", &fields), 403);
}

#[test]
fn page_does_not_bypass_validation_stages() {
    for stage in ["email.identity", "msisdn", "recaptcha"] {
        let stage = format!("m.login.{stage}");
        let page_of = |flows: Vec<Vec<&str>>| {
            let config = Config::default().oauth(OAuth::beside());
            let mut home = TestServer::new(config.flows(flows));
            let client = client(&mut home);
            let page = home.send(link(&url(&sign_up_request(&client))));
            page.text().to_owned()
        };
        let closed = page_of(vec![vec![&stage, "m.login.dummy"]]);
        assert!(!closed.contains("Create an account"), "{stage}: {closed}");
        let token = "m.login.registration_token";
        let open = page_of(vec![vec![&stage], vec![token]]);
        assert!(open.contains("Create an account"), "{stage}: {open}");
        assert!(open.contains("for=\"token\""), "{stage}: {open}");
    }
}

#[test]
fn cancel_returns_access_denied() {
    let mut home = home();
    let client = client(&mut home);
    let asked = request(&client);
    let address = url(&asked);
    let first = home.send(link(&address));
    let early = press(&mut home, &address, &first, "cancel", &[]);
    let consent = sign_in(&mut home, &address, "alice", PASSWORD);
    let late = press(&mut home, &address, &consent, "cancel", &[]);
    for reply in [early, late] {
        let led = BrowserRedirect::of(&reply);
        assert_eq!(led.parameter("error"), Some("access_denied"));
        let location = reply.header("Location").unwrap();
        let error = read_callback(location, &asked.state).unwrap_err();
        assert!(error.to_string().contains("denied"), "{error}");
    }
}

#[test]
fn fragment_mode_returns_state() {
    let mut home = home();
    let client = client(&mut home);
    let mut asked = request(&client);
    asked.redirect_uri = "https://app.example.com/back".to_owned();
    asked.response_mode = ResponseMode::Fragment;
    let address = url(&asked);
    let consent = sign_in(&mut home, &address, "alice", PASSWORD);
    let reply = press(&mut home, &address, &consent, "allow", &[]);
    let location = reply.header("Location").unwrap();
    assert!(
        location.starts_with("https://app.example.com/back#"),
        "{location}"
    );
    read_callback(location, &asked.state).unwrap();
    read_callback(location, &Secret::from("another")).unwrap_err();
}

#[test]
fn unknown_client_is_not_redirected_to() {
    let mut home = home();
    let client = client(&mut home);
    page(&home.send(link(&url(&request("invented")))), 400);
    for wrong in [
        "http://127.0.0.1:4567/elsewhere",
        "http://localhost:4567/callback",
        "http://127.0.0.1.example.com/callback",
        "https://app.example.com/back?more",
        "https://app.example.com:444/back",
        "https://app.example.com/back#f",
        "https://evil@app.example.com/back",
        "javascript:alert(1)",
        "",
    ] {
        let mut asked = request(&client);
        asked.redirect_uri = wrong.to_owned();
        let reply = home.send(link(&url(&asked)));
        assert_eq!(reply.header("Location"), None);
        page(&reply, 400);
    }
    let doubled = format!("{}&client_id=x", url(&request(&client)));
    page(&home.send(link(&doubled)), 400);
}

#[test]
fn loopback_redirect_allows_any_port() {
    let mut home = home();
    let client = client(&mut home);
    for port in ["", ":1", ":65535"] {
        let mut asked = request(&client);
        asked.redirect_uri = format!("http://127.0.0.1{port}/callback");
        assert_eq!(allow(&mut home, &asked).address, asked.redirect_uri);
    }
}

#[test]
fn port_of_registered_redirect_does_not_matter() {
    let mut home = home();
    let mut metadata = super::metadata();
    metadata["redirect_uris"] = json!(["http://127.0.0.1:4000/callback"]);
    let registered = register_client(&mut home, metadata);
    let client = text(&registered.json(), "client_id");
    for port in ["", ":4000", ":4001"] {
        let mut asked = request(&client);
        asked.redirect_uri = format!("http://127.0.0.1{port}/callback");
        let code = BrowserRedirect::of(&{
            let address = url(&asked);
            let consent = sign_in(&mut home, &address, "alice", PASSWORD);
            press(&mut home, &address, &consent, "allow", &[])
        });
        assert_eq!(code.address, asked.redirect_uri);
    }
    let mut elsewhere = request(&client);
    elsewhere.redirect_uri = "http://127.0.0.1:4000/elsewhere".to_owned();
    page(&home.send(link(&url(&elsewhere))), 400);
}

#[test]
fn openid_scope_is_granted() {
    let mut home = home();
    let client = client(&mut home);
    let plain = Scope::client(DEVICE_ID).unwrap();
    for (asked, granted) in [
        (format!("openid {plain}"), format!("openid {plain}")),
        (format!("{plain} openid"), format!("{plain} openid")),
        (format!("{plain} email profile"), plain.to_string()),
        (plain.to_string(), plain.to_string()),
    ] {
        let mut request = request(&client);
        request.scope = Scope::from(asked);
        let led = allow(&mut home, &request);
        let tokens = redeem(&mut home, &client, led.parameter("code").unwrap()).ok();
        assert_eq!(tokens["scope"], granted);
    }
}

#[test]
fn request_errors_go_to_client() {
    let mut home = home();
    let client = client(&mut home);
    let good = url(&request(&client));
    let api = "urn%3Amatrix%3Aclient%3Aapi%3A*";
    let device = format!("urn%3Amatrix%3Aclient%3Adevice%3A{DEVICE_ID}");
    for (from, to, error) in [
        (
            "response_type=code",
            "response_type=token",
            "unsupported_response_type",
        ),
        (
            "code_challenge_method=S256",
            "code_challenge_method=plain",
            "invalid_request",
        ),
        ("&code_challenge=", "&code_challenge=x", "invalid_request"),
        (
            "response_mode=query",
            "response_mode=form_post",
            "invalid_request",
        ),
        (
            "&code_challenge=",
            "&state=again&code_challenge=",
            "invalid_request",
        ),
        (
            "&code_challenge=",
            "&prompt=none&code_challenge=",
            "login_required",
        ),
        (api, "openid", "invalid_scope"),
        (&device, "openid", "invalid_scope"),
        (
            &device,
            "urn%3Amatrix%3Aclient%3Adevice%3ASHORT",
            "invalid_scope",
        ),
        (&device, &format!("{device}+{device}X"), "invalid_scope"),
    ] {
        let wrong = good.replace(from, to);
        assert_ne!(wrong, good, "{from}");
        let led = BrowserRedirect::of(&home.send(link(&wrong)));
        assert_eq!(led.parameter("error"), Some(error), "{to}");
        assert_eq!(led.parameter("state"), Some("the state"));
        assert_eq!(led.parameter("code"), None);
    }
}

#[test]
fn unregistered_grant_is_refused() {
    let mut home = home();
    let mut metadata = super::metadata();
    metadata["grant_types"] = serde_json::json!(["refresh_token"]);
    let client = text(&register_client(&mut home, metadata).json(), "client_id");
    let led = BrowserRedirect::of(&home.send(link(&url(&request(&client)))));
    assert_eq!(led.parameter("error"), Some("unauthorized_client"));
}

#[test]
fn unknown_scope_tokens_are_dropped() {
    let mut home = home();
    let client = client(&mut home);
    let mut asked = request(&client);
    let known = asked.scope.as_str().to_owned();
    asked.scope = Scope::from(format!("profile {known} email"));
    let led = allow(&mut home, &asked);
    let tokens = redeem(&mut home, &client, led.parameter("code").unwrap()).ok();
    assert_eq!(tokens["scope"], known);
}

#[test]
fn form_without_csrf_token_fails() {
    let mut home = home();
    let client = client(&mut home);
    let address = url(&request(&client));
    // A form of another site has no CSRF token.
    let fields = [
        ("step", "sign-up"),
        ("username", "mallory"),
        ("password", "p"),
    ];
    page(&home.send(form(&address, &fields)), 400);
    // The CSRF token of a page without a signed-in user allows nothing.
    let first = home.send(link(&address));
    let reply = press(&mut home, &address, &first, "allow", &[]);
    assert!(page(&reply, 200).contains("<h1>Sign in</h1>"));
    // A consent is valid once, for its own page.
    let consent = sign_in(&mut home, &address, "alice", PASSWORD);
    let mut other = request(&client);
    other.scope = Scope::client("ZZZZZZZZZZ").unwrap();
    let elsewhere = press(&mut home, &url(&other), &consent, "allow", &[]);
    page(&elsewhere, 400);
    let visit = visit(consent.text());
    let allow = [("csrf", visit.as_str()), ("step", "allow")];
    BrowserRedirect::of(&home.send(form(&address, &allow)));
    page(&home.send(form(&address, &allow)), 400);
    assert_eq!(home.login("mallory", serde_json::json!({})).0.status, 403);
}

#[test]
fn expired_page_starts_again() {
    let mut home = home();
    let client = client(&mut home);
    let address = url(&request(&client));
    let consent = sign_in(&mut home, &address, "alice", PASSWORD);
    home.wait(Duration::from_secs(30 * 60));
    let reply = press(&mut home, &address, &consent, "allow", &[]);
    assert!(page(&reply, 400).contains("open for too long"));
}

#[test]
fn open_pages_are_bounded() {
    let mut home = home();
    let client = client(&mut home);
    let address = url(&request(&client));
    let oldest = home.send(link(&address));
    let consent = sign_in(&mut home, &address, "alice", PASSWORD);
    home.wait(Duration::from_secs(1));
    for _ in 0..5_000 {
        home.send(link(&address));
    }
    let fields = [("username", "alice"), ("password", PASSWORD)];
    page(
        &press(&mut home, &address, &oldest, "sign-in", &fields),
        400,
    );
    BrowserRedirect::of(&press(&mut home, &address, &consent, "allow", &[]));
}

#[test]
fn form_logins_are_rate_limited() {
    let limits = Limits::default().login(Limit::new(0.1, 1));
    let config = Config::default().oauth(OAuth::beside());
    let mut home = TestServer::new(config.limits(limits));
    home.register_named("alice").ok();
    let client = client(&mut home);
    let address = url(&request(&client));
    let first = home.send(link(&address));
    let fields = [("username", "alice"), ("password", "guess")];
    let second = press(&mut home, &address, &first, "sign-in", &fields);
    let reply = press(&mut home, &address, &second, "sign-in", &fields);
    assert_eq!(reply.header("Retry-After"), Some("10"));
    page(&reply, 429);
}

#[test]
fn login_hint_prefills_username() {
    let mut home = home();
    let client = client(&mut home);
    let mut asked = request(&client).prompt(AuthorizationPrompt::Create);
    asked.login_hint = Some("mxid:@alice:private.localhost".to_owned());
    let form = home.send(link(&url(&asked)));
    assert!(page(&form, 200).contains("value=\"@alice:private.localhost\""));
}
