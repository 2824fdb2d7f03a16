//! Fallback pages.

use matricula_homeserver::{Config, Limit, Limits, Policy, RegistrationToken};
use serde_json::json;

use crate::{PASSWORD, REGISTER, Reply, TestServer, get, text};

const NASTY: &str = "<script>alert('\"&')</script>";

fn home() -> TestServer {
    let policy = |name: &str| Policy::new("1").translation("en", name, NASTY);
    TestServer::new(
        Config::default()
            .flows([[
                "m.login.terms",
                "m.login.registration_token",
                "org.example.riddle",
            ]])
            .policy("rules", policy(NASTY))
            .policy("privacy", policy("Privacy"))
            .registration_token(RegistrationToken::new("sesame").uses_allowed(1)),
    )
}

fn session(home: &mut TestServer) -> String {
    let body = json!({ "username": "alice", "password": PASSWORD });
    text(&home.post(REGISTER, body).more(), "session")
}

fn address(stage: &str, session: &str) -> String {
    format!("/_matrix/client/v3/auth/{stage}/fallback/web?session={session}")
}

fn submit(home: &mut TestServer, stage: &str, session: &str, form: &str) -> Reply {
    let mut request = get(&address(stage, session));
    request.method = matricula_core::Method::Post;
    request.body = form.as_bytes().to_vec();
    home.send(request)
}

/// Checks the status of a page, and that it has no scripts but ours.
#[track_caller]
fn page(reply: Reply, status: u16) -> String {
    let page = reply.text().to_owned();
    assert_eq!(reply.0.status, status, "{page}");
    assert_eq!(
        reply.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    let policy = reply.header("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert_eq!(reply.header("Referrer-Policy"), Some("no-referrer"));
    assert!(!page.contains("<script>"), "{page}");
    page
}

#[track_caller]
fn is_done(page: &str) {
    assert!(
        page.contains("window.onAuthDone()") && page.contains("\"authDone\""),
        "{page}"
    );
}

#[test]
fn registration_by_fallback_pages() {
    let mut home = home();
    let session = session(&mut home);
    let poll = json!({ "auth": { "session": session } });
    page(home.get(&address("m.login.terms", &session)), 200);
    let form = "accept=rules&accept=privacy";
    is_done(&page(
        submit(&mut home, "m.login.terms", &session, form),
        200,
    ));
    let json = home.post(REGISTER, poll.clone()).more();
    assert_eq!(json["completed"], json!(["m.login.terms"]));
    let form = "token=+sesame+";
    is_done(&page(
        submit(&mut home, "m.login.registration_token", &session, form),
        200,
    ));
    is_done(&page(
        submit(&mut home, "org.example.riddle", &session, ""),
        200,
    ));
    assert_eq!(
        home.post(REGISTER, poll).ok()["user_id"],
        "@alice:private.localhost"
    );
}

#[test]
fn get_completes_no_stage() {
    let mut home = home();
    let session = session(&mut home);
    for _ in 0..2 {
        let page = page(home.get(&address("m.login.terms", &session)), 200);
        assert!(page.contains("<form method=\"post\">"));
    }
    let json = home
        .post(REGISTER, json!({ "auth": { "session": session } }))
        .more();
    assert_eq!(json.get("completed"), None);
}

#[test]
fn configured_texts_are_escaped() {
    let mut home = home();
    let session = session(&mut home);
    let terms = page(home.get(&address("m.login.terms", &session)), 200);
    let escaped = "&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;";
    assert!(terms.contains(escaped), "{terms}");
    assert!(
        terms.contains("href=\"/_matricula/terms/rules/en\""),
        "{terms}"
    );
    let document = page(home.get("/_matricula/terms/rules/en"), 200);
    assert_eq!(document.matches(escaped).count(), 3, "{document}");
}

#[test]
fn all_policies_must_be_accepted() {
    let mut home = home();
    let session = session(&mut home);
    for form in ["", "accept=rules", "accept=rules&accept=other"] {
        let page = page(submit(&mut home, "m.login.terms", &session, form), 400);
        assert!(page.contains("role=\"alert\"") && page.contains("<form"));
    }
}

#[test]
fn wrong_token_can_be_corrected() {
    let mut home = home();
    let session = session(&mut home);
    submit(
        &mut home,
        "m.login.terms",
        &session,
        "accept=rules&accept=privacy",
    );
    let stage = "m.login.registration_token";
    for form in ["", "token=", "token=barley"] {
        let page = page(submit(&mut home, stage, &session, form), 400);
        assert!(page.contains("wrong, used up or expired") && page.contains("<form"));
    }
    is_done(&page(
        submit(&mut home, stage, &session, "token=sesame"),
        200,
    ));
    // A complete stage needs no second use.
    is_done(&page(home.get(&address(stage, &session)), 200));
    is_done(&page(
        submit(&mut home, stage, &session, "token=barley"),
        200,
    ));
}

#[test]
fn page_needs_session_and_order() {
    let mut home = home();
    let session = session(&mut home);
    page(
        home.get("/_matrix/client/v3/auth/m.login.terms/fallback/web"),
        400,
    );
    page(home.get(&address("m.login.terms", "invented")), 400);
    page(home.get(&address("m.login.sso", &session)), 404);
    page(home.get(&address("org.example.riddle", &session)), 401);
    page(submit(&mut home, "org.example.riddle", &session, ""), 401);
}

#[test]
fn rate_limited_page_has_retry_after() {
    let config = Config::default()
        .flows([["m.login.registration_token"]])
        .registration_token(RegistrationToken::new("sesame"))
        .limits(Limits::default().token_validity(Limit::new(0.1, 1)));
    let mut home = TestServer::new(config);
    let stage = "m.login.registration_token";
    let finished = session(&mut home);
    is_done(&page(
        submit(&mut home, stage, &finished, "token=sesame"),
        200,
    ));
    let session = session(&mut home);
    page(submit(&mut home, stage, &session, "token=a"), 400);
    let reply = submit(&mut home, stage, &session, "token=b");
    assert_eq!(reply.header("Retry-After"), Some("10"));
    page(reply, 429);
    // A complete stage stays complete.
    is_done(&page(submit(&mut home, stage, &finished, "token=c"), 200));
}

#[test]
fn stage_may_be_percent_encoded() {
    let mut home = home();
    let session = session(&mut home);
    page(home.get(&address("m%2Elogin%2Eterms", &session)), 200);
}
