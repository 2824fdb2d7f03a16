//! Telephone numbers: validation by code.

use matricula_homeserver::{Config, Mail};
use serde_json::{Value, json};

use crate::{LOGIN, PASSWORD, REGISTER, TestServer, text};

const ASK: &str = "/_matrix/client/v3/register/msisdn/requestToken";
const STAGE: &str = "m.login.msisdn";

fn home() -> TestServer {
    let messages = Mail::new("127.0.0.1:25").sms_gateway("sms.example.org");
    TestServer::new(Config::default().mail(messages).flows([[STAGE]]))
}

fn ask(country: &str, number: &str, attempt: u64) -> Value {
    json!({ "client_secret": "secret", "send_attempt": attempt, "country": country,
        "phone_number": number })
}

fn submit(home: &mut TestServer, asked: &Value, code: &str) -> crate::Reply {
    let url = text(asked, "submit_url");
    let path = url.strip_prefix("http://private.localhost").unwrap();
    let body = json!({ "sid": asked["sid"], "client_secret": "secret", "token": code });
    home.post(path, body)
}

fn code(home: &mut TestServer) -> String {
    home.mail().body.expose()[..6].to_owned()
}

#[test]
fn number_validated_by_code_registers() {
    let mut home = home();
    let body = json!({ "username": "alice", "password": PASSWORD });
    let session = text(&home.post(REGISTER, body).more(), "session");
    let asked = home.post(ASK, ask("GB", "07700 900000", 1)).ok();
    let mail = home.mail();
    assert_eq!(mail.recipient, "447700900000@sms.example.org");
    let creds = json!({ "sid": asked["sid"], "client_secret": "secret" });
    let auth = json!({ "type": STAGE, "session": session, "threepid_creds": creds });
    let auth = json!({ "auth": auth });
    home.post(REGISTER, auth.clone()).err(401, "M_UNAUTHORIZED");
    let sent = mail.body.expose()[..6].to_owned();
    assert_eq!(
        submit(&mut home, &asked, &sent).ok(),
        json!({ "success": true })
    );
    home.post(REGISTER, auth).ok();
    for identifier in [
        json!({ "type": "m.id.phone", "country": "GB", "phone": "07700900000" }),
        json!({ "type": "m.id.thirdparty", "medium": "msisdn", "address": "447700900000" }),
    ] {
        let body = json!({ "type": "m.login.password", "identifier": identifier,
            "password": PASSWORD });
        home.post(LOGIN, body).ok();
    }
}

#[test]
fn wrong_codes_are_limited() {
    let mut home = home();
    let asked = home.post(ASK, ask("GB", "07700900000", 1)).ok();
    let right = code(&mut home);
    let wrong = if right == "000000" {
        "000001"
    } else {
        "000000"
    };
    for _ in 0..5 {
        let json = submit(&mut home, &asked, wrong).ok();
        assert_eq!(json, json!({ "success": false }));
    }
    submit(&mut home, &asked, &right).err(400, "M_NO_VALID_SESSION");
    // A new code allows new attempts.
    home.post(ASK, ask("GB", "07700900000", 2)).ok();
    let another = code(&mut home);
    assert_eq!(submit(&mut home, &asked, &another).ok()["success"], true);
}

#[test]
fn code_belongs_to_session() {
    let mut home = home();
    let first = home.post(ASK, ask("GB", "07700900000", 1)).ok();
    code(&mut home);
    home.post(ASK, ask("GB", "07700900001", 1)).ok();
    let other = code(&mut home);
    assert_eq!(submit(&mut home, &first, &other).ok()["success"], false);
    let path = "/_matricula/confirm/msisdn";
    let body = json!({ "sid": first["sid"], "client_secret": "guess", "token": other });
    home.post(path, body).err(400, "M_NO_VALID_SESSION");
    home.post(path, json!({ "sid": 1 })).err(400, "M_BAD_JSON");
    home.get(path).err(405, "M_UNRECOGNIZED");
}

#[test]
fn numbers_are_normalized() {
    let mut home = home();
    for (attempt, (country, number)) in [
        ("GB", "07700 900000"),
        ("gb", "7700-900000"),
        ("XX", "+44 7700 900000"),
        ("DE", "+447700900000"),
    ]
    .into_iter()
    .enumerate()
    {
        let attempt = attempt as u64 + 1;
        home.post(ASK, ask(country, number, attempt)).ok();
        assert_eq!(home.mail().recipient, "447700900000@sms.example.org");
    }
    for (country, number) in [
        ("XX", "07700900000"),
        ("GB", "077x0900000"),
        ("GB", "12"),
        ("GB", "+1234567890123456"),
        ("GB", ""),
    ] {
        home.post(ASK, ask(country, number, 9))
            .err(400, "M_INVALID_PARAM");
    }
}

#[test]
fn no_gateway_no_numbers() {
    let messages = Mail::new("127.0.0.1:25");
    let mut home = TestServer::new(Config::default().mail(messages));
    home.post(ASK, ask("GB", "07700900000", 1))
        .err(404, "M_UNRECOGNIZED");
}
