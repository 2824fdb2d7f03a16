//! Encoding of forms, and masking of their secrets.

use matricula_core::{Body, Job};

use crate::job;

#[test]
fn form_is_percent_encoded() {
    let form = Body::form([
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("scope", "a b  c"),
        ("plain", "*-._aZ9"),
        ("other", "~/?&=+%é\n"),
        ("", ""),
    ]);
    let text = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code\
                &scope=a+b++c&plain=*-._aZ9&other=%7E%2F%3F%26%3D%2B%25%C3%A9%0A&=";
    assert_eq!(form.as_bytes(), text.as_bytes());
}

#[test]
fn form_secrets_are_masked_by_name() {
    let text = "client_id=c&code=canary&c%6Fde=canary&code2=x&code";
    let open = job().with_body(Body::Form(text.to_owned()));
    assert!(!open.holds_secret());
    assert_eq!(open.masked_body(), text);

    let secret = open.with_request_secrets(vec!["/code".into()]);
    let masked = "client_id=c&code=***&c%6Fde=***&code2=x&code";
    assert_eq!(secret.masked_body(), masked);
    assert!(secret.holds_secret());
    let error = serde_json::to_string(&secret).unwrap_err().to_string();
    assert!(error.contains("holds a secret"), "{error}");
}

#[test]
fn form_without_secrets_serialises() {
    let open = job()
        .with_body(Body::form([("client_id", "c")]))
        .with_request_secrets(vec!["/code".into()]);
    let stored = serde_json::to_string(&open).unwrap();
    let read: Job = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, open);
}
