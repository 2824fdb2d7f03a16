//! Addresses that are proved days after the command asked for it, on real servers.

use std::{env, fs};

use serde_json::Value;

use crate::{
    command::{Home, unique},
    http::call,
};

pub(super) fn server(profile: &str) -> Value {
    let file = env::var("MATRICULA_SYNAPSE")
        .expect("MATRICULA_SYNAPSE names the file of the servers; cargo xtask test sets it");
    let servers: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    servers[profile].clone()
}

/// Clicks the link in the only message to this address.
pub(super) fn follow_link(server: &Value, address: &str) {
    let messages = fs::read_dir(server["smtp"]["messages"].as_str().unwrap()).unwrap();
    let messages: Vec<Value> = messages
        .map(|message| fs::read(message.unwrap().path()).unwrap())
        .map(|message| serde_json::from_slice::<Value>(&message).unwrap())
        .filter(|message| message["to"][0] == address)
        .collect();
    let [message] = &messages[..] else {
        panic!("not one message to {address}: {messages:?}")
    };
    let base_url = server["base_url"].as_str().unwrap();
    let mut links = message["links"].as_array().unwrap().iter();
    let link = links
        .find_map(|link| link.as_str().filter(|link| link.contains("submit_token")))
        .unwrap();
    let (status, _) = call(
        base_url,
        "GET",
        link.strip_prefix(base_url).unwrap(),
        None,
        None,
    );
    assert_eq!(status, 200);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn an_email_address() {
    let (server, home, name) = (server("email"), Home::new(), unique("n"));
    let address = format!("{name}@example.org");
    let url = server["base_url"].as_str().unwrap();
    let line = format!("register {url} --json --no-input --username {name} --email {address}");
    let waits = home.run(&line).exit(6).json();
    assert_eq!(waits["error"]["stage"], "m.login.email.identity");
    for field in ["session", "url", "resume"] {
        assert!(waits["error"][field].is_string(), "{field}: {waits}");
    }
    let message = waits["error"]["message"].as_str().unwrap();
    assert!(message.contains(&address), "{message}");
    let line = format!(
        "register --resume {} --json --no-input",
        home.registration()
    );
    home.run(&line).exit(6);
    follow_link(&server, &address);
    let registered = home.run(&line).exit(0).json();
    let user_id = format!("@{name}:{}", server["server_name"].as_str().unwrap());
    assert_eq!(registered["user_id"], user_id);
    home.run("whoami").exit(0);
    // The address is the account's by now.
    let line = format!("register {url} --json --no-input --email {address}");
    let refused = home.run(&line).exit(7).json();
    assert_eq!(refused["error"]["errcode"], "M_THREEPID_IN_USE");
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn missing_address_is_explained() {
    for (profile, stage, option) in [
        ("email", "m.login.email.identity", "--email ADDRESS"),
        ("msisdn", "m.login.msisdn", "--phone COUNTRY:NUMBER"),
    ] {
        let (server, home) = (server(profile), Home::new());
        let url = server["base_url"].as_str().unwrap();
        let waits = home
            .run(&format!("register {url} --json --no-input"))
            .exit(6)
            .json();
        assert_eq!(waits["error"]["stage"], stage);
        assert!(waits["next"].as_str().unwrap().ends_with(option), "{waits}");
    }
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn captcha_is_left_to_a_browser() {
    let (server, home) = (server("recaptcha"), Home::new());
    let url = server["base_url"].as_str().unwrap();
    let waits = home
        .run(&format!("register {url} --json --no-input"))
        .exit(6)
        .json();
    assert_eq!(waits["error"]["stage"], "m.login.recaptcha");
    let page = waits["error"]["url"].as_str().unwrap();
    assert!(page.contains("/fallback/web?session="), "{page}");
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn phone_code_is_given_later() {
    let (server, home) = (server("msisdn"), Home::new());
    let url = server["base_url"].as_str().unwrap();
    let code = server["identity_server"]["code"].as_str().unwrap();
    home.file("code", code);
    home.file("wrong", "000000");
    let phone = phone();
    let waits = home
        .run(&format!("register {url} --json --no-input --phone {phone}"))
        .exit(6)
        .json();
    assert_eq!(waits["error"]["stage"], "m.login.msisdn");
    let next = waits["next"].as_str().unwrap();
    assert!(next.ends_with("--code-file FILE"), "{next}");
    let line = format!("register --resume {} --no-input", home.registration());
    home.run(&format!("{line} --code-file wrong")).exit(6);
    home.run(&format!("{line} --code-file code")).exit(0);

    // Another number for the same account.
    let phone = self::phone();
    let line = format!("account phone add {phone} --no-input");
    let waits = home.run(&format!("{line} --json")).exit(6).json();
    assert!(
        waits["next"]
            .as_str()
            .unwrap()
            .ends_with("--code-file FILE")
    );
    home.run(&format!("{line} --code-file wrong")).exit(6);
    home.run(&format!("{line} --code-file code")).exit(0);
    let listed = home.run("account phone list").exit(0).stdout;
    let number = format!("44{}", &phone["GB:0".len()..]);
    assert!(listed.lines().any(|line| line == number), "{listed}");
    home.run(&format!("account phone remove {number}")).exit(0);
    assert_eq!(
        home.run("account phone list")
            .exit(0)
            .stdout
            .lines()
            .count(),
        1
    );
}

/// With ten digits that no other test has. The first is not drawn: after the
/// trunk's 0, another would make the international prefix of it.
fn phone() -> String {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    format!("GB:07{:09}", nanos / 1_000 % 1_000_000_000)
}
