//! Forms are written as web servers read them, and show their secrets to nobody.

use matricula_job::{Body, decode_form, encode_form};
use proptest::prelude::*;

use crate::job;

#[test]
fn a_form_is_encoded_as_web_pages_do_it() {
    let pairs = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("scope", "a b  c"),
        ("plain", "*-._aZ9"),
        ("other", "~/?&=+%é\n"),
        ("", ""),
    ];
    let text = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code\
                &scope=a+b++c&plain=*-._aZ9&other=%7E%2F%3F%26%3D%2B%25%C3%A9%0A&=";
    assert_eq!(encode_form(pairs), text);
    let read: Vec<(String, String)> = pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    assert_eq!(decode_form(text), read);
}

#[test]
fn any_text_can_be_read_as_a_form() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(decode_form(""), []);
    assert_eq!(decode_form("&&a&b=&"), [pair("a", ""), pair("b", "")]);
    assert_eq!(
        decode_form("a=%zz%4&b=%ff"),
        [pair("a", "%zz%4"), pair("b", "\u{fffd}")]
    );
}

#[test]
fn the_secrets_of_a_form_are_masked_by_name_however_they_are_written() {
    let form = Body::Form("client_id=c&code=canary&c%6Fde=canary&code2=x&code".to_owned());
    let open = job().with_body(form.clone());
    assert!(!open.holds_secret());
    assert_eq!(
        open.masked_body(),
        "client_id=c&code=canary&c%6Fde=canary&code2=x&code"
    );

    let secret = job()
        .with_body(form)
        .with_request_secrets(vec!["/code".into()]);
    assert_eq!(
        secret.masked_body(),
        "client_id=c&code=***&c%6Fde=***&code2=x&code"
    );
    assert!(secret.holds_secret());
    let error = serde_json::to_string(&secret).unwrap_err().to_string();
    assert!(error.contains("holds a secret"), "{error}");
}

#[test]
fn a_form_without_secrets_can_be_stored() {
    let open = job()
        .with_body(Body::Form("client_id=c".to_owned()))
        .with_request_secrets(vec!["/code".into()]);
    let stored = serde_json::to_string(&open).unwrap();
    let read: matricula_job::Job = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, open);
}

proptest! {
    #[test]
    fn what_is_encoded_reads_back(pairs: Vec<(String, String)>) {
        let text = encode_form(pairs.iter().map(|(name, value)| (name, value)));
        prop_assert_eq!(decode_form(&text), pairs);
    }
}
