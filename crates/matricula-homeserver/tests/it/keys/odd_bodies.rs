//! Property test: whatever is uploaded, no request is a 500, and what is stored can be read.

use matricula_core::Method;
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Value, json};

use super::{
    CLAIM, CrossSigning, QUERY, SIGNATURES, SIGNING, UPLOAD,
    backup::{VERSION, create},
    public_key, signed, two,
};

/// A change of a body: where, and to what.
type Change = (Index, Index);

fn odd_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!("@alice:private.localhost"),
        json!("@bob:private.localhost"),
        json!("A"),
        json!("\u{0}\u{fffd}"),
        json!([]),
        json!(["master", "self_signing", 1]),
        json!({}),
        json!({ "": {} }),
        json!({ "@alice:private.localhost": 5 }),
        json!({ "@alice:private.localhost": { "ed25519:A": 5 } }),
        json!({ "@alice:private.localhost": { "ed25519:": "x" } }),
        json!({ "ed25519:A": "x" }),
        json!({ "*": { "a": [[[[[[]]]]]] } }),
        json!("x".repeat(70_000)),
    ]
}

/// The JSON pointers of all parts of a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(field, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{number}"), found);
            }
        }
        _ => {}
    }
}

fn change(body: &mut Value, (place, odd): &Change) {
    let mut all = Vec::new();
    places(body, "", &mut all);
    let odd = odd.get(&odd_values()).clone();
    let place: &String = place.get(&all);
    if let Some(part) = body.pointer_mut(place) {
        *part = odd;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn odd_bodies_break_nothing(
        requests in vec((any::<Index>(), vec((any::<Index>(), any::<Index>()), 0..3)), 1..24)
    ) {
        let (mut home, alice, bob) = two();
        let me = alice.user.user_id.as_str();
        let keys = CrossSigning::new(&alice, 50);
        let key = json!({ "first_message_index": 0, "forwarded_count": 0, "is_verified": true,
            "session_data": { "x": "y" } });
        create(&mut home, &alice);
        let backup = "/_matrix/client/v3/room_keys/keys?version=1";
        let send = "/_matrix/client/v3/sendToDevice/m.test";
        let one_time = signed(&json!({ "key": "x" }), me, &alice.key);
        let by_self = signed(&alice.keys(), me, &keys.self_signing);
        let by_device = signed(&keys.master_key(), me, &alice.key);
        let valid = [
            (Method::Post, UPLOAD, json!({ "device_keys": alice.keys(),
                "one_time_keys": { "signed_curve25519:1": one_time, "curve25519:1": "x" },
                "fallback_keys": { "signed_curve25519:1": one_time } })),
            (Method::Post, SIGNING, keys.body()),
            (Method::Post, SIGNATURES,
                json!({ me: { "A": by_self, public_key(&keys.master): by_device } })),
            (Method::Post, QUERY, json!({ "device_keys": { me: ["A"] } })),
            (Method::Post, CLAIM, json!({ "one_time_keys": { me: { "A": "signed_curve25519" } } })),
            (Method::Put, send, json!({ "messages": { me: { "*": { "n": 1 } } } })),
            (Method::Post, VERSION, json!({ "algorithm": "x", "auth_data": { "a": 1 } })),
            (Method::Put, backup, json!({ "rooms": { "!a:b": { "sessions": { "s": key } } } })),
        ];
        for (number, (which, changes)) in requests.iter().enumerate() {
            let (method, path, mut body) = which.get(&valid).clone();
            for one in changes {
                change(&mut body, one);
            }
            let path = match path == send {
                true => format!("{send}/{number}"),
                false => path.to_owned(),
            };
            let reply = alice.call(&mut home, method, &path, body.clone());
            prop_assert!((200..500).contains(&reply.0.status), "{} {}", path, body);
            let json = reply.json();
            prop_assert!(
                reply.0.status == 200 || json["errcode"].is_string() || json["flows"].is_array(),
                "{} {} {}", path, body, json
            );
            for viewer in [&alice, &bob] {
                viewer.query(&mut home, me);
                viewer.sync(&mut home);
                let body = json!({ "one_time_keys": { me: { "A": "signed_curve25519" } } });
                viewer.post(&mut home, CLAIM, body).ok();
            }
            alice.get(&mut home, VERSION).ok();
            let reply = alice.get(&mut home, backup);
            prop_assert_eq!(reply.0.status, 200);
        }
    }
}
