//! Password reset by a third-party identifier.

use matricula_core::Method;
use matricula_homeserver::{Config, Mail};
use serde_json::{Value, json};

use crate::{LOGIN, REGISTER, Reply, TestServer, TestUser, text};

const CHANGE: &str = "/_matrix/client/v3/account/password";
const ASK: &str = "/_matrix/client/v3/account/password/email/requestToken";
const NEW: &str = "staple battery";

fn home() -> (TestServer, TestUser) {
    let messages = Mail::new("127.0.0.1:25");
    let mut home = TestServer::new(Config::default().mail(messages));
    let me = home.sign_up("alice");
    let path = "/_matrix/client/v3/account/3pid/email/requestToken";
    let sid = text(&home.post(path, ask("added")).ok(), "sid");
    let mail = home.mail();
    home.click(&mail);
    let body = json!({ "sid": sid, "client_secret": "added" });
    let path = "/_matrix/client/v3/account/3pid/add";
    home.prove(&me, Method::Post, path, body).ok();
    (home, me)
}

fn ask(secret: &str) -> Value {
    json!({ "client_secret": secret, "send_attempt": 1, "email": "alice@example.org" })
}

fn change(home: &mut TestServer, auth: Value) -> Reply {
    home.post(CHANGE, json!({ "new_password": NEW, "auth": auth }))
}

#[test]
fn email_owner_resets_password() {
    let (mut home, me) = home();
    let body = json!({ "new_password": NEW });
    let asked = home.post(CHANGE, body).more();
    let flows = json!([{ "stages": ["m.login.email.identity"] }]);
    assert_eq!(asked["flows"], flows);
    let session = text(&asked, "session");
    let sid = text(&home.post(ASK, ask("reset")).ok(), "sid");
    let creds = json!({ "sid": sid, "client_secret": "reset" });
    let auth =
        json!({ "type": "m.login.email.identity", "session": session, "threepid_creds": creds });
    change(&mut home, auth.clone()).err(401, "M_UNAUTHORIZED");
    let mail = home.mail();
    home.click(&mail);
    change(&mut home, auth).ok();
    home.whoami(&me.token).err(401, "M_UNKNOWN_TOKEN");
    home.login("alice", json!({})).err(403, "M_FORBIDDEN");
    let user = json!({ "type": "m.id.user", "user": "alice" });
    let body = json!({ "type": "m.login.password", "identifier": user, "password": NEW });
    home.post(LOGIN, body).ok();
}

#[test]
fn unknown_address_resets_nothing() {
    let (mut home, _) = home();
    let body = json!({ "client_secret": "s", "send_attempt": 1, "email": "bob@example.org" });
    home.post(ASK, body.clone())
        .err(400, "M_THREEPID_NOT_FOUND");
    // A validation for another purpose does not count.
    let path = "/_matrix/client/v3/register/email/requestToken";
    let sid = text(&home.post(path, body).ok(), "sid");
    let mail = home.mail();
    home.click(&mail);
    let creds = json!({ "sid": sid, "client_secret": "s" });
    let auth = json!({ "type": "m.login.email.identity", "threepid_creds": creds });
    change(&mut home, auth).err(404, "M_NOT_FOUND");
    home.login("alice", json!({})).ok();
}

#[test]
fn password_cannot_authorize_reset() {
    let (mut home, me) = home();
    let session = text(
        &home.post(CHANGE, json!({ "new_password": NEW })).more(),
        "session",
    );
    change(&mut home, me.auth(&session, crate::PASSWORD)).err(400, "M_INVALID_PARAM");
    // A session of a registration cannot reset a password.
    let session = text(&home.post(REGISTER, json!({})).more(), "session");
    let auth = json!({ "type": "m.login.dummy", "session": session });
    change(&mut home, auth).err(400, "M_UNKNOWN");
}
