//! Finds a secret in whatever it was written to, however it was encoded.

use std::collections::BTreeSet;

use base64::{
    Engine,
    engine::{
        GeneralPurpose,
        general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
    },
};

/// A secret, and all the forms in which it could be seen.
#[derive(Clone)]
pub(crate) struct Canary {
    name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    pub(crate) fn new(name: &str, secret: &str) -> Self {
        assert!(
            secret.len() >= 12,
            "{name} is so short that it is found by chance"
        );
        Self {
            name: name.to_owned(),
            forms: forms(secret),
        }
    }

    /// How the text holds the secret, if it does.
    pub(crate) fn seen_in(&self, text: &[u8]) -> Option<String> {
        let mut forms = self.forms.iter();
        let (form, bytes) =
            forms.find(|(_, form)| text.windows(form.len()).any(|window| window == form))?;
        let bytes = String::from_utf8_lossy(bytes);
        Some(format!("the {}, {form}: {bytes}", self.name))
    }
}

fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("raw", secret.to_owned())];
    for (name, safe) in [
        ("URL-encoded", "-._~"),
        ("URL-encoded", "-._~!$&'()*+,;=:@/?"),
    ] {
        let url = percent_encoded(secret, safe);
        forms.push((name, lower_case_hex(&url)));
        forms.push((name, url));
    }
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    forms.push(("form-encoded", form));
    let json = inner(&serde_json::to_string(secret).unwrap());
    forms.push(("in JSON", json.replace('/', "\\/")));
    forms.push(("in JSON", ascii(&json)));
    // A body in a log is a text in a text.
    forms.push((
        "in JSON in JSON",
        inner(&serde_json::to_string(&json).unwrap()),
    ));
    forms.push(("in JSON", json));
    forms.push(("in Debug", inner(&format!("{secret:?}"))));
    forms.push((
        "as a list of bytes",
        inner(&format!("{:?}", secret.as_bytes())),
    ));
    let hex = |byte: &u8| format!("{byte:02x}");
    forms.push((
        "in hexadecimal",
        secret.as_bytes().iter().map(hex).collect(),
    ));
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        // What stands before it decides where its bits begin.
        forms.extend((0..3).map(|before| ("in base64", base64(&engine, before, secret))));
    }
    let mut known = BTreeSet::new();
    let forms = forms
        .into_iter()
        .map(|(name, form)| (name, form.into_bytes()));
    forms
        .filter(|(_, form)| known.insert(form.clone()))
        .collect()
}

fn percent_encoded(text: &str, safe: &str) -> String {
    let encode = |byte: u8| match byte.is_ascii_alphanumeric() || safe.as_bytes().contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn lower_case_hex(url: &str) -> String {
    let mut parts = url.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    let lower = |part: &str| format!("%{}{}", part[..2].to_lowercase(), &part[2..]);
    first + &parts.map(lower).collect::<String>()
}

/// Without the first and the last character: quotes or brackets.
fn inner(text: &str) -> String {
    text[1..text.len() - 1].to_owned()
}

fn ascii(json: &str) -> String {
    let mut units = [0; 2];
    let escape = |c: char| match c.is_ascii() {
        true => c.to_string(),
        false => {
            let units = c.encode_utf16(&mut units);
            units.iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }
    };
    json.chars().map(escape).collect()
}

/// Those characters of the encoding that do not depend on what stands before and after.
fn base64(engine: &GeneralPurpose, before: usize, secret: &str) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret.as_bytes());
    let encoded = engine.encode(&bytes);
    let start = (before * 8).div_ceil(6);
    let end = bytes.len() * 8 / 6;
    encoded[start..end].to_owned()
}

const SECRET: &str = "Pa55 \"wörd\"/\\+&=?%<🙂>~end";

fn canary() -> Canary {
    Canary::new("password", SECRET)
}

#[test]
fn secret_is_found_in_every_encoding() {
    let json = serde_json::json!({ "a": [SECRET] }).to_string();
    let planted = [
        SECRET.to_owned(),
        format!("{SECRET:?}"),
        json.clone(),
        format!("{json:?}"),
        serde_json::to_string(&json).unwrap(),
        r#"Pa55 \"w\u00f6rd\"/\\+&=?%<\ud83d\ude42>~end"#.to_owned(),
        r#"Pa55 \"wörd\"\/\\+&=?%<🙂>~end"#.to_owned(),
        "Pa55%20%22w%C3%B6rd%22%2F%5C%2B%26%3D%3F%25%3C%F0%9F%99%82%3E~end".to_owned(),
        "Pa55%20%22w%c3%b6rd%22%2f%5c%2b%26%3d%3f%25%3c%f0%9f%99%82%3e~end".to_owned(),
        "Pa55+%22w%C3%B6rd%22%2F%5C%2B%26%3D%3F%25%3C%F0%9F%99%82%3E%7Eend".to_owned(),
        format!("{:?}", format!("x{SECRET}y").into_bytes()),
    ];
    for text in planted {
        for text in [text.clone(), format!("before{text}after")] {
            assert!(canary().seen_in(text.as_bytes()).is_some(), "{text}");
        }
    }
}

#[test]
fn secret_is_found_in_base64() {
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for before in 0..7 {
            for after in 0..7 {
                let text = "x".repeat(before) + SECRET + &"y".repeat(after);
                let encoded = engine.encode(text);
                assert!(canary().seen_in(encoded.as_bytes()).is_some(), "{encoded}");
            }
        }
    }
}

#[test]
fn other_text_is_not_a_secret() {
    for text in ["", "Pa55", "Pa55 \"wörd\"/\\+&=?%<🙂>~en", "***"] {
        assert_eq!(canary().seen_in(text.as_bytes()), None, "{text}");
        let encoded = STANDARD_NO_PAD.encode(text);
        assert_eq!(canary().seen_in(encoded.as_bytes()), None, "{text}");
    }
}
