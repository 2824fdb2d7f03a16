//! Registering with an email address, a phone number or a captcha, on real Synapse servers.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use matricula::{
    api::client::whoami::WhoAmI,
    auth::{Answer, Prompt, RegistrationOptions},
    register,
};
use serde_json::Value;

use crate::live::{Synapse, unique};

/// Fetches a page, or sends a form; gives the answer's head and body.
fn fetch(url: &str, form: Option<&str>) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let (method, form) = (form.map_or("GET", |_| "POST"), form.unwrap_or_default());
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let length = form.len();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "{method} /{path} HTTP/1.0\r\nHost: {host}\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{form}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"),
        "{answer}"
    );
    answer
}

/// Clicks the link in the one message to this address.
pub(crate) fn follow_link(server: &Synapse, address: &str) {
    let messages = fs::read_dir(server.told("/smtp/messages")).unwrap();
    let mut messages = messages
        .map(|message| fs::read(message.unwrap().path()).unwrap())
        .map(|message| serde_json::from_slice::<Value>(&message).unwrap())
        .filter(|message| message["to"][0] == address);
    let message = messages.next().unwrap();
    assert!(messages.next().is_none(), "one message, and no second");
    let mut links = message["links"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str);
    fetch(
        links.find(|link| link.contains("submit_token")).unwrap(),
        None,
    );
}

/// A person who does all that is asked.
pub(crate) fn person(server: &Synapse) -> impl FnMut(&Prompt) -> Answer {
    move |question| match question {
        Prompt::FollowLink { address, .. } => {
            follow_link(server, address);
            Answer::Yes
        }
        Prompt::Code { why: None, .. } => Answer::Text("000000".into()),
        Prompt::Code { .. } => Answer::Text(server.told("/identity_server/code").into()),
        Prompt::StagePage { url, .. } => {
            let response = server.told("/recaptcha/good_response");
            let session = url.split_once("session=").unwrap().1;
            let form = format!("session={session}&g-recaptcha-response={response}");
            fetch(url, Some(&form));
            Answer::Yes
        }
        other => panic!("{other:?}"),
    }
}

/// Registers on the server of these profiles, doing what it asks.
async fn registers(profiles: &str, wishes: RegistrationOptions) {
    let server = Synapse::of(profiles);
    let session = register(server.url())
        .options(wishes)
        .prompts(person(&server))
        .await
        .unwrap();
    let me = session.call(WhoAmI::default()).await.unwrap();
    assert_eq!(me.user_id, session.account().user_id);
}

fn with_email() -> RegistrationOptions {
    RegistrationOptions {
        email: Some(format!("{}@example.org", unique())),
        ..RegistrationOptions::default()
    }
}

/// With ten digits that no other test has.
pub(crate) fn with_phone() -> RegistrationOptions {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    RegistrationOptions {
        phone: Some(
            format!("GB:07{:09}", nanos / 1_000 % 1_000_000_000)
                .parse()
                .unwrap(),
        ),
        ..RegistrationOptions::default()
    }
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn an_email_address() {
    registers("email", with_email()).await;
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn unrequested_email_address() {
    registers("email-optional", with_email()).await;
    registers("email-optional", RegistrationOptions::default()).await;
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn phone_number_after_wrong_code() {
    registers("msisdn", with_phone()).await;
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn captcha_on_the_server_page() {
    registers("recaptcha", RegistrationOptions::default()).await;
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn all_at_once() {
    let profiles = "token+terms+email+msisdn+recaptcha";
    let wishes = RegistrationOptions {
        token: Some(
            Synapse::of(profiles)
                .told("/registration_tokens/unlimited")
                .into(),
        ),
        accept_terms: true,
        email: with_email().email,
        ..with_phone()
    };
    registers(profiles, wishes).await;
}
