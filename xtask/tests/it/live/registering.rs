//! Profiles with additional registration stages.

use std::fs;

use serde_json::{Value, json};

use super::{REGISTER, Registration, Site, unique};
use crate::http::call;

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn email_is_required() {
    let site = Site::of("email");
    assert_eq!(site.flows(), ["email.identity"]);
    assert_link_validates_address(&site);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn email_is_optional() {
    let site = Site::of("email-optional");
    assert_eq!(site.flows(), ["dummy", "email.identity"]);
    assert_link_validates_address(&site);
    Registration::start(&site, "without").end("dummy", json!({}));
}

fn assert_link_validates_address(site: &Site) {
    let registration = Registration::start(site, "mailed");
    let (creds, mail) = ask_for_mail(site, &registration.name);
    registration.fail("email.identity", creds.clone());
    follow_link(site, &mail);
    registration.end("email.identity", creds);
    let address = json!(format!("{}@example.org", registration.name));
    let again = json!({ "client_secret": "again", "email": address, "send_attempt": 1 });
    let answer = site.post(&format!("{REGISTER}/email/requestToken"), &again);
    assert_eq!(
        answer.json()["errcode"],
        "M_THREEPID_IN_USE",
        "the address is the account's: {answer:?}"
    );
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn phone_number_is_required() {
    let site = Site::of("msisdn");
    assert_eq!(site.flows(), ["msisdn"]);
    let registration = Registration::start(&site, "called");
    let (creds, submit_url) = ask_for_code(&site);
    registration.fail("msisdn", creds.clone());
    assert_eq!(submit(&creds, &submit_url, "654321"), json!(false));
    registration.fail("msisdn", creds.clone());
    let code = site.info_at("/identity_server/code");
    assert_eq!(submit(&creds, &submit_url, code), json!(true));
    registration.end("msisdn", creds);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn captcha_is_required() {
    let site = Site::of("recaptcha");
    assert_eq!(site.flows(), ["recaptcha dummy"]);
    let asked = site.post(REGISTER, &json!({})).json();
    let key = &asked["params"]["m.login.recaptcha"]["public_key"];
    assert_eq!(*key, site.info_at("/recaptcha/public_key"));
    let registration = Registration::start(&site, "human");
    registration.fail("recaptcha", json!({ "response": "i-am-a-robot" }));
    let good = site.info_at("/recaptcha/good_response");
    registration.pass("recaptcha", json!({ "response": good }));
    registration.end("dummy", json!({}));
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn all_stages_are_required() {
    let site = Site::of("token+terms+email+msisdn+recaptcha");
    assert_eq!(
        site.flows(),
        ["registration_token recaptcha terms msisdn email.identity"]
    );
    let registration = Registration::start(&site, "patient");
    for kind in ["spent", "expired"] {
        let token = site.info_at(&format!("/registration_tokens/{kind}"));
        registration.fail("registration_token", json!({ "token": token }));
    }
    let token = site.info_at("/registration_tokens/unlimited");
    registration.pass("registration_token", json!({ "token": token }));
    let good = site.info_at("/recaptcha/good_response");
    registration.pass("recaptcha", json!({ "response": good }));
    registration.pass("terms", json!({}));
    let (creds, submit_url) = ask_for_code(&site);
    submit(&creds, &submit_url, site.info_at("/identity_server/code"));
    registration.pass("msisdn", creds);
    let (creds, mail) = ask_for_mail(&site, &registration.name);
    follow_link(&site, &mail);
    registration.end("email.identity", creds);
}

/// Requests a mail to an address of this name. Returns the credentials and the mail.
fn ask_for_mail(site: &Site, name: &str) -> (Value, Value) {
    let address = format!("{name}@example.org");
    let secret = unique("secret");
    let body = json!({ "client_secret": secret, "email": address, "send_attempt": 1 });
    let answer = site.post(&format!("{REGISTER}/email/requestToken"), &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    // Synapse responds after the mail server has accepted the mail.
    let mails = fs::read_dir(site.info_at("/smtp/messages")).unwrap();
    let mut mails = mails
        .map(|mail| fs::read(mail.unwrap().path()).unwrap())
        .map(|mail| serde_json::from_slice::<Value>(&mail).unwrap());
    let mail = mails.find(|mail| mail["to"] == json!([address])).unwrap();
    let sender = format!("noreply@{}", site.info_at("/server_name"));
    assert_eq!(mail["from"], sender, "{mail}");
    (creds(&answer.json(), &secret), mail)
}

/// Follows the link in the mail.
fn follow_link(site: &Site, mail: &Value) {
    let links = mail["links"].as_array().unwrap().iter();
    let mut links = links.filter_map(Value::as_str);
    let link = links.find(|link| link.contains("submit_token")).unwrap();
    assert!(link.starts_with(site.info_at("/base_url")), "{link}");
    let page = call("GET", link, None, None);
    assert_eq!(page.status, 200, "{page:?}");
}

/// Requests a text message. Returns the credentials and the URL for the code.
fn ask_for_code(site: &Site) -> (Value, String) {
    let secret = unique("secret");
    // A unique number of ten digits.
    let digits: String = secret.chars().filter(char::is_ascii_digit).collect();
    let number = &digits[digits.len() - 10..];
    let body = json!({
        "client_secret": secret,
        "country": "GB",
        "phone_number": format!("0{number}"),
        "send_attempt": 1,
    });
    let answer = site.post(&format!("{REGISTER}/msisdn/requestToken"), &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    let submit_url = answer["submit_url"].as_str().unwrap().to_owned();
    (creds(&answer, &secret), submit_url)
}

/// Submits a code.
fn submit(creds: &Value, submit_url: &str, code: &str) -> Value {
    let mut body = creds["threepid_creds"].clone();
    body["token"] = json!(code);
    let answer = call("POST", submit_url, None, Some(&body));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["success"].take()
}

fn creds(answer: &Value, secret: &str) -> Value {
    json!({ "threepid_creds": { "sid": answer["sid"], "client_secret": secret } })
}
