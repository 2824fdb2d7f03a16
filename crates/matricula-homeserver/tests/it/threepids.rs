//! Email addresses: validation, registration, account.

use std::time::Duration;

use matricula_core::Method;
use matricula_homeserver::{Config, Limit, Limits, Mail, Registration};
use serde_json::{Value, json};

use crate::{PASSWORD, REGISTER, Reply, TestServer, TestUser, get, link_in, text};

const ASK: &str = "/_matrix/client/v3/register/email/requestToken";
const ASK_TO_ADD: &str = "/_matrix/client/v3/account/3pid/email/requestToken";
const LIST: &str = "/_matrix/client/v3/account/3pid";
const ADD: &str = "/_matrix/client/v3/account/3pid/add";
const DELETE: &str = "/_matrix/client/v3/account/3pid/delete";
const EMAIL: &str = "m.login.email.identity";

fn config() -> Config {
    Config::default().mail(Mail::new("127.0.0.1:25"))
}

/// A server whose registration needs an email address.
fn home() -> TestServer {
    TestServer::new(config().flows([[EMAIL]]))
}

fn ask(email: &str, attempt: u64) -> Value {
    json!({ "client_secret": "secret", "send_attempt": attempt, "email": email })
}

fn creds(sid: &str) -> Value {
    json!({ "sid": sid, "client_secret": "secret" })
}

fn attempt(home: &mut TestServer, session: &str, creds: Value) -> Reply {
    let auth = json!({ "type": EMAIL, "session": session, "threepid_creds": creds });
    home.post(REGISTER, json!({ "auth": auth }))
}

fn begin(home: &mut TestServer, username: &str) -> String {
    let body = json!({ "username": username, "password": PASSWORD });
    text(&home.post(REGISTER, body).more(), "session")
}

/// Completes a validation.
fn proved(home: &mut TestServer, path: &str, email: &str) -> String {
    let sid = text(&home.post(path, ask(email, 1)).ok(), "sid");
    let mail = home.mail();
    home.click(&mail);
    sid
}

/// Registers with a validation.
fn register(home: &mut TestServer, username: &str, email: &str) -> TestUser {
    let session = begin(home, username);
    let sid = proved(home, ASK, email);
    TestUser::of(&attempt(home, &session, creds(&sid)).ok())
}

fn addresses(home: &mut TestServer, me: &TestUser) -> Vec<String> {
    let json = home.get_as(&me.token, LIST).ok();
    let all = json["threepids"].as_array().unwrap();
    all.iter().map(|it| text(it, "address")).collect()
}

#[test]
fn validated_email_registers_and_is_added() {
    let mut home = home();
    let me = register(&mut home, "alice", "Alice@Example.org");
    let json = home.get_as(&me.token, LIST).ok();
    let at = home.now.as_millis();
    let one = json!({ "medium": "email", "address": "alice@example.org", "validated_at": at,
        "added_at": at });
    assert_eq!(json["threepids"], json!([one]));
}

#[test]
fn email_is_unproven_before_button() {
    let mut home = home();
    let session = begin(&mut home, "alice");
    let sid = text(&home.post(ASK, ask("alice@example.org", 1)).ok(), "sid");
    attempt(&mut home, &session, creds(&sid)).err(401, "M_UNAUTHORIZED");
    // Opening the page validates nothing: mail scanners do it, too.
    let mail = home.mail();
    let page = home.send(get(&link_in(&mail)));
    assert!(page.text().contains("alice@example.org"));
    let json = attempt(&mut home, &session, creds(&sid)).err(401, "M_UNAUTHORIZED");
    assert_eq!(json.get("completed"), None);
    home.click(&mail);
    attempt(&mut home, &session, creds(&sid)).ok();
}

#[test]
fn unknown_validation_proves_nothing() {
    let mut home = home();
    let session = begin(&mut home, "alice");
    let sid = proved(&mut home, ASK, "alice@example.org");
    for creds in [
        json!({ "sid": sid, "client_secret": "guess" }),
        json!({ "sid": "guess", "client_secret": "secret" }),
    ] {
        attempt(&mut home, &session, creds).err(401, "M_UNAUTHORIZED");
    }
    let auth = json!({ "type": EMAIL, "session": session });
    home.post(REGISTER, json!({ "auth": auth }))
        .err(401, "M_MISSING_PARAM");
    home.get("/_matricula/confirm/email?token=guess");
    let page = home.get("/_matricula/confirm/email?token=guess");
    assert_eq!(page.0.status, 404);
}

#[test]
fn fallback_button_cannot_replace_validation() {
    let mut home = home();
    let session = begin(&mut home, "alice");
    let page = format!("/_matrix/client/v3/auth/{EMAIL}/fallback/web?session={session}");
    assert_eq!(home.get(&page).0.status, 404);
}

#[test]
fn mail_names_server_and_links_page() {
    let mut home = home();
    home.post(ASK, ask("alice@example.org", 1)).ok();
    let mail = home.mail();
    assert_eq!(mail.recipient, "alice@example.org");
    assert!(mail.subject.contains("private.localhost"));
    assert!(mail.body.expose().contains("alice@example.org"));
    assert!(!format!("{mail:?}").contains("alice"));
    assert!(!home.has_mail());
}

#[test]
fn repeated_attempt_sends_no_second_mail() {
    let mut home = home();
    let first = home.post(ASK, ask("alice@example.org", 1)).ok();
    let first_mail = home.mail();
    assert_eq!(home.post(ASK, ask("alice@example.org", 1)).ok(), first);
    assert!(!home.has_mail());
    assert_eq!(home.post(ASK, ask("alice@example.org", 2)).ok(), first);
    let second_mail = home.mail();
    // Only the newest link works.
    assert_eq!(home.send(get(&link_in(&first_mail))).0.status, 404);
    home.click(&second_mail);
    // After the validation no mail is sent.
    assert_eq!(home.post(ASK, ask("alice@example.org", 3)).ok(), first);
    assert!(!home.has_mail());
}

#[test]
fn validations_are_per_client_and_address() {
    let mut home = home();
    let first = home.post(ASK, ask("alice@example.org", 1)).ok();
    let mut other = ask("alice@example.org", 1);
    other["client_secret"] = json!("other");
    assert_ne!(home.post(ASK, other).ok(), first);
    assert_ne!(home.post(ASK, ask("bob@example.org", 1)).ok(), first);
}

#[test]
fn confirmation_redirects_to_next_link() {
    let mut home = home();
    let mut body = ask("alice@example.org", 1);
    body["next_link"] = json!("https://app.example.com/done?x=1");
    home.post(ASK, body).ok();
    let mail = home.mail();
    let mut request = get(&link_in(&mail));
    let page = home.send(request.clone());
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("form-action 'self' https://app.example.com"),
        "{policy}"
    );
    request.method = Method::Post;
    let led = home.send(request.clone());
    assert_eq!(led.0.status, 303);
    assert_eq!(
        led.header("location"),
        Some("https://app.example.com/done?x=1")
    );
    // The page then shows that the address is confirmed.
    request.method = Method::Get;
    assert!(home.send(request).text().contains("is confirmed"));
}

#[test]
fn invalid_addresses_are_rejected() {
    let mut home = home();
    for email in [
        "",
        "alice",
        "@example.org",
        "alice@",
        "a@b@c",
        "a b@example.org",
        "a@example.org\r\nBcc: b@example.org",
        "<a@example.org>",
        "ä@example.org",
    ] {
        home.post(ASK, ask(email, 1)).err(400, "M_INVALID_PARAM");
    }
    home.post(ASK, ask(&format!("a@{}", "x".repeat(254)), 1))
        .err(400, "M_INVALID_PARAM");
    for (field, value) in [
        ("client_secret", json!("no spaces")),
        ("client_secret", json!("")),
        ("client_secret", json!("x".repeat(256))),
        ("next_link", json!("javascript:alert(1)")),
        ("next_link", json!("app:done")),
    ] {
        let mut body = ask("alice@example.org", 1);
        body[field] = value;
        home.post(ASK, body).err(400, "M_INVALID_PARAM");
    }
    assert!(!home.has_mail());
}

#[test]
fn address_belongs_to_one_account() {
    let mut home = home();
    register(&mut home, "alice", "alice@example.org");
    for path in [ASK, ASK_TO_ADD] {
        home.post(path, ask("ALICE@example.org", 1))
            .err(400, "M_THREEPID_IN_USE");
    }
}

#[test]
fn address_taken_meanwhile_fails_registration() {
    let mut home = home();
    let session = begin(&mut home, "bob");
    let sid = proved(&mut home, ASK, "both@example.org");
    let mut other = ask("both@example.org", 1);
    other["client_secret"] = json!("other");
    let other_sid = text(&home.post(ASK, other).ok(), "sid");
    let mail = home.mail();
    home.click(&mail);
    let alice = begin(&mut home, "alice");
    let creds_of_alice = json!({ "sid": other_sid, "client_secret": "other" });
    attempt(&mut home, &alice, creds_of_alice).ok();
    attempt(&mut home, &session, creds(&sid)).err(400, "M_THREEPID_IN_USE");
    home.login("bob", json!({})).err(403, "M_FORBIDDEN");
}

#[test]
fn only_allowed_domains_are_accepted() {
    let messages = Mail::new("127.0.0.1:25").domain("example.org");
    let mut home = TestServer::new(Config::default().mail(messages));
    home.post(ASK, ask("alice@Example.org", 1)).ok();
    home.post(ASK, ask("alice@example.com", 1))
        .err(403, "M_THREEPID_DENIED");
}

#[test]
fn no_mail_where_registration_fails() {
    let mut home = TestServer::new(config().registration(Registration::Closed));
    home.post(ASK, ask("alice@example.org", 1))
        .err(403, "M_FORBIDDEN");
    home.post(ASK_TO_ADD, ask("alice@example.org", 1)).ok();
    // Without mail the endpoint does not exist.
    TestServer::open()
        .post(ASK, ask("alice@example.org", 1))
        .err(404, "M_UNRECOGNIZED");
}

#[test]
fn links_and_validations_expire() {
    let day = Duration::from_secs(24 * 60 * 60);
    let mut home = home();
    home.post(ASK, ask("alice@example.org", 1)).ok();
    let mail = home.mail();
    home.wait(day);
    assert_eq!(home.send(get(&link_in(&mail))).0.status, 404);
    let sid = proved(&mut home, ASK, "bob@example.org");
    home.wait(day);
    let session = begin(&mut home, "bob");
    attempt(&mut home, &session, creds(&sid)).err(401, "M_UNAUTHORIZED");
    // Queued mail expires, too.
    home.post(ASK, ask("carol@example.org", 1)).ok();
    home.wait(day);
    assert!(!home.has_mail());
}

#[test]
fn mail_is_rate_limited_and_bounded() {
    let limits = Limits::default().validation_messages(Limit::new(0.1, 2));
    let mut home = TestServer::new(config().limits(limits));
    for attempt in 1..=2 {
        home.post(ASK, ask("alice@example.org", attempt)).ok();
    }
    home.post(ASK, ask("alice@example.org", 3))
        .err(429, "M_LIMIT_EXCEEDED");

    let mut home = self::home();
    for number in 0..1_000 {
        home.post(ASK, ask(&format!("u{number}@example.org"), 1))
            .ok();
    }
    home.post(ASK, ask("more@example.org", 1))
        .err(503, "M_UNKNOWN");
    home.mail();
    home.post(ASK, ask("more@example.org", 1)).ok();
}

#[test]
fn address_is_added_listed_removed() {
    let mut home = TestServer::new(config());
    let me = home.sign_up("alice");
    let sid = proved(&mut home, ASK_TO_ADD, "alice@example.org");
    home.prove(&me, Method::Post, ADD, creds(&sid)).ok();
    // Repeating the request succeeds.
    home.prove(&me, Method::Post, ADD, creds(&sid)).ok();
    assert_eq!(addresses(&mut home, &me), ["alice@example.org"]);
    let body = json!({ "medium": "email", "address": "Alice@example.org" });
    for _ in 0..2 {
        let json = home.post_as(&me.token, DELETE, body.clone()).ok();
        assert_eq!(json["id_server_unbind_result"], "success");
    }
    assert!(addresses(&mut home, &me).is_empty());
}

#[test]
fn adding_needs_password_and_validation() {
    let mut home = TestServer::new(config());
    let (me, mallory) = (home.sign_up("alice"), home.sign_up("mallory"));
    let sid = text(&home.post(ASK_TO_ADD, ask("a@example.org", 1)).ok(), "sid");
    home.prove(&me, Method::Post, ADD, creds(&sid))
        .err(400, "M_THREEPID_AUTH_FAILED");
    let mail = home.mail();
    home.click(&mail);
    home.post_as(&me.token, ADD, creds(&sid)).more();
    assert!(addresses(&mut home, &me).is_empty());
    home.prove(&me, Method::Post, ADD, creds(&sid)).ok();
    home.prove(&mallory, Method::Post, ADD, creds(&sid))
        .err(400, "M_THREEPID_IN_USE");
    // Identifiers of other users cannot be removed.
    let body = json!({ "medium": "email", "address": "a@example.org" });
    home.post_as(&mallory.token, DELETE, body).ok();
    assert_eq!(addresses(&mut home, &me), ["a@example.org"]);
}

#[test]
fn login_with_email_address() {
    let mut home = home();
    register(&mut home, "alice", "alice@example.org");
    for identifier in [
        json!({ "type": "m.id.thirdparty", "medium": "email", "address": "Alice@example.org" }),
        json!({ "type": "m.id.user", "user": "alice" }),
    ] {
        let body = json!({ "type": "m.login.password", "identifier": identifier,
            "password": PASSWORD });
        let json = home.post(crate::LOGIN, body).ok();
        assert_eq!(json["user_id"], "@alice:private.localhost");
    }
    let other = json!({ "type": "m.id.thirdparty", "medium": "email", "address": "b@example.org" });
    let body = json!({ "type": "m.login.password", "identifier": other, "password": PASSWORD });
    home.post(crate::LOGIN, body).err(403, "M_FORBIDDEN");
}

#[test]
fn deactivation_frees_the_address() {
    let mut home = home();
    let me = register(&mut home, "alice", "alice@example.org");
    let path = "/_matrix/client/v3/account/deactivate";
    home.prove(&me, Method::Post, path, json!({})).ok();
    home.wait(Duration::from_secs(24 * 60 * 60));
    register(&mut home, "bob", "alice@example.org");
}
