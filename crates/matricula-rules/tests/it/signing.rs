//! Signatures and Base64: the test vectors of the specification, and forgeries.

use matricula_rules::{
    RoomVersion,
    signing::{
        KeyError, SignatureError, SigningKey, VerifiedEvent, VerifyingKey, decode_base64,
        encode_base64, hash_and_sign_event, sign_json, verify_event, verify_json,
    },
};
use serde_json::{Value, json};

/// The key of the test vectors.
fn key() -> SigningKey {
    let seed = decode_base64("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1").unwrap();
    SigningKey::from_seed("ed25519:1", seed.try_into().unwrap()).unwrap()
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

#[test]
fn base64_has_no_padding() {
    let examples = ["", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"];
    for (length, encoded) in examples.into_iter().enumerate() {
        let text = &b"foobar"[..length];
        assert_eq!(encode_base64(text), encoded);
        assert_eq!(decode_base64(encoded).as_deref(), Some(text));
    }
    for (padded, text) in [("Zg==", &b"f"[..]), ("Zm8=", b"fo"), ("Zh", b"f")] {
        assert_eq!(decode_base64(padded).as_deref(), Some(text));
    }
    for broken in ["Z", "Zm9v!", "Zm 9v", "_-8"] {
        assert_eq!(decode_base64(broken), None, "{broken}");
    }
}

#[test]
fn json_is_signed_as_in_the_specification() {
    let vectors = [
        (
            "{}",
            "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ",
        ),
        (
            r#"{ "one": 1, "two": "Two" }"#,
            "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
        ),
    ];
    for (object, signature) in vectors {
        let signed = sign_json(object, "domain", &key()).unwrap();
        let mut expected = parse(object);
        expected["signatures"] = json!({ "domain": { "ed25519:1": signature } });
        assert_eq!(parse(&signed), expected);
        let checked = verify_json(&signed, "domain", "ed25519:1", key().verifying_key());
        assert_eq!(checked, Ok(()));
    }
}

/// The first event of the test vectors.
const MINIMAL_EVENT: &str = r#"{
    "room_id": "!x:domain",
    "sender": "@a:domain",
    "origin": "domain",
    "origin_server_ts": 1000000,
    "signatures": {},
    "hashes": {},
    "type": "X",
    "content": {},
    "prev_events": [],
    "auth_events": [],
    "depth": 3,
    "unsigned": { "age_ts": 1000000 }
}"#;

/// The second one, whose content does not survive a redaction.
const MESSAGE_EVENT: &str = r#"{
    "content": { "body": "Here is the message content" },
    "event_id": "$0:domain",
    "origin": "domain",
    "origin_server_ts": 1000000,
    "type": "m.room.message",
    "room_id": "!r:domain",
    "sender": "@u:domain",
    "signatures": {},
    "unsigned": { "age_ts": 1000000 }
}"#;

#[test]
fn events_are_signed_as_in_the_specification() {
    let vectors = [
        (
            MINIMAL_EVENT,
            RoomVersion::V3,
            "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos",
            "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg",
        ),
        (
            MESSAGE_EVENT,
            RoomVersion::V1,
            "onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g",
            "Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA",
        ),
    ];
    for (event, version, hash, signature) in vectors {
        let signed = hash_and_sign_event(event, version, "domain", &key()).unwrap();
        let mut expected = parse(event);
        expected["hashes"] = json!({ "sha256": hash });
        expected["signatures"] = json!({ "domain": { "ed25519:1": signature } });
        assert_eq!(parse(&signed.json), expected);
        let key = key().verifying_key();
        let checked = verify_event(&signed.json, version, "domain", "ed25519:1", key);
        assert_eq!(checked, Ok(VerifiedEvent::Intact));
    }
}

#[test]
fn signatures_join_those_that_are_there() {
    let object = r#"{"a":1,"signatures":{"domain":{"ed25519:0":"x"},"other":{"ed25519:9":"y"}}}"#;
    let signed = parse(&sign_json(object, "domain", &key()).unwrap());
    assert_eq!(signed["signatures"]["domain"]["ed25519:0"], "x");
    assert_eq!(signed["signatures"]["other"], json!({ "ed25519:9": "y" }));
    let alone = parse(&sign_json(r#"{"a":1}"#, "domain", &key()).unwrap());
    let signature = |object: &Value| object["signatures"]["domain"]["ed25519:1"].clone();
    assert_eq!(signature(&signed), signature(&alone));
}

#[test]
fn unknown_fields_and_numbers_stay_as_received() {
    let received = r#"{ "z" : 1.50, "n": 123456789012345678901234567890, "s": "\u0061" }"#;
    let event = received.replacen('{', r#"{"type":"m.x","content":{"f":1e-7},"#, 1);
    let signed = hash_and_sign_event(&event, RoomVersion::V4, "domain", &key()).unwrap();
    for part in [
        r#""z":1.50"#,
        r#""n":123456789012345678901234567890"#,
        r#""s":"\u0061""#,
        r#"{"f":1e-7}"#,
    ] {
        assert!(signed.json.contains(part), "{}", signed.json);
    }
    let key = key().verifying_key();
    let checked = verify_event(&signed.json, RoomVersion::V4, "domain", "ed25519:1", key);
    assert_eq!(checked, Ok(VerifiedEvent::Intact));
}

#[test]
fn signature_covers_everything_but_unsigned() {
    let signed = sign_json(r#"{"a":{"b":1},"unsigned":{"age":5}}"#, "domain", &key()).unwrap();
    let check = |text: &str| verify_json(text, "domain", "ed25519:1", key().verifying_key());
    assert_eq!(check(&signed), Ok(()));
    assert_eq!(check(&signed.replace(r#""age":5"#, r#""age":6"#)), Ok(()));
    assert_eq!(
        check(&signed.replace(r#""b":1"#, r#""b":2"#)),
        Err(SignatureError::Wrong)
    );
    assert_eq!(
        check(&signed.replacen('{', r#"{"new":0,"#, 1)),
        Err(SignatureError::Wrong)
    );
}

#[test]
fn wrong_signatures_are_refused() {
    let signed = sign_json("{}", "domain", &key()).unwrap();
    let verify = |entity: &str, key_id: &str, key: &SigningKey| {
        verify_json(&signed, entity, key_id, key.verifying_key())
    };
    let other = SigningKey::from_seed("ed25519:1", [1; 32]).unwrap();
    assert_eq!(
        verify("domain", "ed25519:1", &other),
        Err(SignatureError::Wrong)
    );
    let missing = verify("domain", "ed25519:2", &key()).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "there is no signature by domain with the key ed25519:2"
    );
    assert!(matches!(
        verify("else", "ed25519:1", &key()),
        Err(SignatureError::Missing { .. })
    ));
    assert!(matches!(
        verify("domain", "rsa:1", &key()),
        Err(SignatureError::Key(_))
    ));

    for signature in [r#""""#, r#""AAAA""#, r#""!""#] {
        let object = format!(r#"{{"signatures":{{"domain":{{"ed25519:1":{signature}}}}}}}"#);
        let checked = verify_json(&object, "domain", "ed25519:1", key().verifying_key());
        assert_eq!(checked, Err(SignatureError::NotASignature));
    }
    for signatures in ["1", r#"{"domain":[]}"#, r#"{"domain":{"ed25519:1":7}}"#] {
        let object = format!(r#"{{"signatures":{signatures}}}"#);
        let checked = verify_json(&object, "domain", "ed25519:1", key().verifying_key());
        assert!(matches!(checked, Err(SignatureError::Missing { .. })));
    }
}

#[test]
fn changed_event_is_known_only_redacted() {
    let signed = hash_and_sign_event(MESSAGE_EVENT, RoomVersion::V1, "domain", &key()).unwrap();
    let verify = |text: &str| {
        let key = key().verifying_key();
        verify_event(text, RoomVersion::V1, "domain", "ed25519:1", key)
    };
    let changed = signed.json.replace("Here", "There");
    let Ok(VerifiedEvent::Redacted(redacted)) = verify(&changed) else {
        panic!("{changed}");
    };
    assert_eq!(parse(&redacted)["content"], json!({}));
    // A redacted event is still signed.
    assert!(matches!(verify(&redacted), Ok(VerifiedEvent::Redacted(_))));
    // What a redaction leaves is signed itself.
    let forged = signed.json.replace("@u:domain", "@v:domain");
    assert_eq!(verify(&forged), Err(SignatureError::Wrong));
    let without_hash = signed.json.replace("sha256", "sha1");
    assert_eq!(verify(&without_hash), Err(SignatureError::Wrong));
}

#[test]
fn malformed_signatures_are_not_overwritten() {
    for object in [r#"{"signatures":[]}"#, r#"{"signatures":{"domain":"x"}}"#] {
        let error = sign_json(object, "domain", &key()).unwrap_err();
        assert_eq!(error.to_string(), "signatures must be an object of objects");
    }
    assert!(sign_json(r#"{"a":0.5}"#, "domain", &key()).is_err());
    assert!(sign_json("[]", "domain", &key()).is_err());
}

#[test]
fn keys_are_checked() {
    for id in ["", "1", "ed25519", "ed25519:", "curve25519:1"] {
        let error = SigningKey::from_seed(id, [0; 32]).unwrap_err();
        assert_eq!(error, KeyError::NotAKeyId(id.to_owned()));
    }
    let public = key().verifying_key().to_base64();
    assert_eq!(
        VerifyingKey::from_base64(&public),
        Ok(key().verifying_key())
    );
    for broken in ["", "AAAA", &public[1..], "not base64 at all!"] {
        assert_eq!(
            VerifyingKey::from_base64(broken),
            Err(KeyError::NotAKey),
            "{broken}"
        );
    }
}

#[test]
fn weak_keys_verify_nothing() {
    // The neutral element as a key, and a signature that it would otherwise permit for every text.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let key = VerifyingKey::from_base64(&encode_base64(&neutral)).unwrap();
    let mut signature = [0; 64];
    signature[0] = 1;
    let signature = encode_base64(&signature);
    let object = format!(r#"{{"signatures":{{"domain":{{"ed25519:1":"{signature}"}}}}}}"#);
    let checked = verify_json(&object, "domain", "ed25519:1", key);
    assert_eq!(checked, Err(SignatureError::Wrong));
}

#[test]
fn private_key_is_not_shown() {
    let shown = format!("{:?}", key());
    assert_eq!(shown, r#"SigningKey { id: "ed25519:1", .. }"#);
}
