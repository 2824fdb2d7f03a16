//! Account data, global and of rooms.

use serde_json::{Value, json};

use super::{events, of_room, own, put, shared_room, since, sync};
use crate::TestServer;

#[test]
fn account_data_is_stored_and_synced() {
    let (mut home, alice, bob, room) = shared_room();
    let first = sync(&mut home, &alice, "");
    let bobs = sync(&mut home, &bob, "");
    let path = own(&alice, "account_data/org.example.a");
    home.get_as(&alice.token, &path).err(404, "M_NOT_FOUND");
    put(&mut home, &alice, &path, json!({ "x": [1.5, null] })).ok();
    let of_her_room = own(&alice, &format!("rooms/{room}/account_data/org.example.a"));
    home.get_as(&alice.token, &of_her_room)
        .err(404, "M_NOT_FOUND");
    put(&mut home, &alice, &of_her_room, json!({ "y": "ä" })).ok();
    let stored = home.get_as(&alice.token, &path).ok();
    assert_eq!(stored, json!({ "x": [1.5, null] }));
    assert_eq!(
        home.get_as(&alice.token, &of_her_room).ok(),
        json!({ "y": "ä" })
    );

    let news = since(&mut home, &alice, &first);
    let changed = json!([{ "type": "org.example.a", "content": { "x": [1.5, null] } }]);
    assert_eq!(news["account_data"]["events"], changed);
    let contents = of_room(&news, &room, "account_data", "org.example.a");
    assert_eq!(contents, [json!({ "y": "ä" })]);
    assert_eq!(
        since(&mut home, &alice, &news),
        crate::empty_sync(&crate::text(&news, "next_batch"))
    );
    let nothing = since(&mut home, &bob, &bobs);
    assert_eq!(
        nothing,
        crate::empty_sync(&crate::text(&bobs, "next_batch"))
    );

    // To delete it is to replace it.
    put(&mut home, &alice, &path, json!({})).ok();
    assert_eq!(home.get_as(&alice.token, &path).ok(), json!({}));
    let again = since(&mut home, &alice, &news);
    assert_eq!(
        again["account_data"]["events"],
        json!([{ "type": "org.example.a", "content": {} }])
    );
    let all = events(&sync(&mut home, &alice, ""), "/account_data");
    let kinds: Vec<_> = all.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["m.push_rules", "org.example.a"]);
}

#[test]
fn odd_account_data_is_refused() {
    let (mut home, alice, bob, room) = shared_room();
    let long = "x".repeat(256);
    let large = json!({ "x": "x".repeat(65_536) });
    let of_room = |kind: &str| format!("rooms/{room}/account_data/{kind}");
    for (rest, body, status, code) in [
        (
            "account_data/m.fully_read".to_owned(),
            json!({}),
            405,
            "M_BAD_JSON",
        ),
        (
            "account_data/m.push_rules".to_owned(),
            json!({}),
            405,
            "M_BAD_JSON",
        ),
        (of_room("m.fully_read"), json!({}), 405, "M_BAD_JSON"),
        (of_room("m.push_rules"), json!({}), 405, "M_BAD_JSON"),
        ("account_data/a".to_owned(), json!([]), 400, "M_BAD_JSON"),
        ("account_data/a".to_owned(), Value::Null, 400, "M_BAD_JSON"),
        (
            "account_data/a".to_owned(),
            json!("text"),
            400,
            "M_BAD_JSON",
        ),
        (of_room("a"), json!(7), 400, "M_BAD_JSON"),
        (
            format!("account_data/{long}"),
            json!({}),
            413,
            "M_TOO_LARGE",
        ),
        ("account_data/a".to_owned(), large, 413, "M_TOO_LARGE"),
        (
            "rooms/x/account_data/a".to_owned(),
            json!({}),
            400,
            "M_INVALID_PARAM",
        ),
    ] {
        put(&mut home, &alice, &own(&alice, &rest), body).err(status, code);
    }
    for path in [own(&alice, "account_data/a"), own(&alice, &of_room("a"))] {
        put(&mut home, &bob, &path, json!({})).err(403, "M_FORBIDDEN");
        home.get_as(&bob.token, &path).err(403, "M_FORBIDDEN");
    }
    assert_eq!(
        events(&sync(&mut home, &alice, ""), "/account_data").len(),
        1
    );
    let mut request = crate::get(&own(&alice, "account_data/a"));
    request.method = matricula_core::Method::Put;
    request.access_token = Some(alice.token.as_str().into());
    for (body, code) in [
        ("", "M_NOT_JSON"),
        ("{", "M_NOT_JSON"),
        (r#"{"x":"\ud800"}"#, "M_BAD_JSON"),
        (r#"{"x":1e999}"#, "M_BAD_JSON"),
    ] {
        request.body = body.as_bytes().to_vec();
        home.send(request.clone()).err(400, code);
    }
}

#[test]
fn deeply_nested_account_data_stays_readable() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    let mut request = crate::get(&own(&alice, "account_data/a"));
    request.method = matricula_core::Method::Put;
    request.access_token = Some(alice.token.as_str().into());
    for depth in 100..140 {
        let body = format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        request.body = body.clone().into_bytes();
        let reply = home.send(request.clone());
        assert!([200, 400].contains(&reply.0.status), "{depth}");
        let path = "/_matrix/client/v3/sync";
        assert_eq!(home.get_as(&alice.token, path).0.status, 200, "{depth}");
    }
}

#[test]
fn account_data_is_bounded() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    let large = json!({ "x": "x".repeat(65_000) });
    let mut stored = 0;
    let refused = loop {
        let path = own(&alice, &format!("account_data/{stored}"));
        let reply = put(&mut home, &alice, &path, large.clone());
        if reply.0.status != 200 {
            break reply;
        }
        stored += 1;
    };
    refused.err(413, "M_TOO_LARGE");
    assert_eq!(stored, 16 * 1024 * 1024 / 65_008);
    // What is there can be replaced and removed.
    let path = own(&alice, "account_data/0");
    put(&mut home, &alice, &path, large.clone()).ok();
    put(&mut home, &alice, &path, json!({})).ok();
    let path = own(&alice, &format!("account_data/{stored}"));
    home.get_as(&alice.token, &path).err(404, "M_NOT_FOUND");
    put(&mut home, &alice, &path, large).ok();
}
