//! Tags of rooms.

use serde_json::json;

use super::{delete, of_room, own, put, shared_room, since, sync};

#[test]
fn tags_are_account_data_of_the_room() {
    let (mut home, alice, bob, room) = shared_room();
    let first = sync(&mut home, &alice, "");
    let tags = own(&alice, &format!("rooms/{room}/tags"));
    assert_eq!(home.get_as(&alice.token, &tags).ok(), json!({ "tags": {} }));
    let favourite = format!("{tags}/m.favourite");
    put(&mut home, &alice, &favourite, json!({ "order": 0.25 })).ok();
    put(
        &mut home,
        &alice,
        &format!("{tags}/u.work"),
        json!({ "x": 1 }),
    )
    .ok();
    let both = json!({ "tags": { "m.favourite": { "order": 0.25 }, "u.work": { "x": 1 } } });
    assert_eq!(home.get_as(&alice.token, &tags).ok(), both);
    let data = own(&alice, &format!("rooms/{room}/account_data/m.tag"));
    assert_eq!(home.get_as(&alice.token, &data).ok(), both);
    let news = since(&mut home, &alice, &first);
    assert_eq!(of_room(&news, &room, "account_data", "m.tag"), [both]);

    delete(&mut home, &alice, &favourite).ok();
    delete(&mut home, &alice, &favourite).ok();
    let rest = json!({ "tags": { "u.work": { "x": 1 } } });
    assert_eq!(home.get_as(&alice.token, &tags).ok(), rest);
    let again = since(&mut home, &alice, &news);
    assert_eq!(of_room(&again, &room, "account_data", "m.tag"), [rest]);
    home.get_as(&bob.token, &tags).err(403, "M_FORBIDDEN");
    put(&mut home, &bob, &favourite, json!({})).err(403, "M_FORBIDDEN");
    delete(&mut home, &bob, &favourite).err(403, "M_FORBIDDEN");
}

#[test]
fn odd_tags_are_refused() {
    let (mut home, alice, _, room) = shared_room();
    let tags = own(&alice, &format!("rooms/{room}/tags"));
    let long = "x".repeat(256);
    for (tag, body, code) in [
        (long.as_str(), json!({}), "M_INVALID_PARAM"),
        ("u.a", json!({ "order": "first" }), "M_BAD_JSON"),
        ("u.a", json!([]), "M_BAD_JSON"),
    ] {
        put(&mut home, &alice, &format!("{tags}/{tag}"), body).err(400, code);
    }
    put(
        &mut home,
        &alice,
        &format!("{tags}/{}", &long[1..]),
        json!({}),
    )
    .ok();
    // Other clients may store anything as account data.
    let data = own(&alice, &format!("rooms/{room}/account_data/m.tag"));
    for (content, read) in [
        (json!({}), json!({})),
        (json!({ "tags": [] }), json!({})),
        (json!({ "tags": { "a": 1, "b": {} } }), json!({ "b": {} })),
    ] {
        put(&mut home, &alice, &data, content).ok();
        let tags = home.get_as(&alice.token, &tags).ok();
        assert_eq!(tags, json!({ "tags": read }));
    }
}
