//! Reports of rooms, events and users.

use serde_json::{Value, json};

use super::{in_room, say, shared_room};
use crate::{TestServer, database, text};
use matricula_homeserver::Config;

#[test]
fn reports_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home.db");
    let mut home = database::open(&path, Config::default()).unwrap();
    let alice = home.sign_up("alice");
    let made = home.post_as(&alice.token, "/_matrix/client/v3/createRoom", json!({}));
    let room = text(&made.ok(), "room_id");
    let event = say(&mut home, &alice, &room, "hello");
    let user = format!("/_matrix/client/v3/users/{}/report", alice.user_id);
    for (path, body) in [
        (in_room(&room, "report"), json!({ "reason": "" })),
        (in_room(&room, &format!("report/{event}")), json!({})),
        (user, json!({ "reason": "so rude", "x": 1 })),
    ] {
        assert_eq!(home.post_as(&alice.token, &path, body).ok(), json!({}));
    }
    drop(home);
    let stored = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT concat_ws('|', reporter, room, event, user_id, reason) FROM reports";
    let mut statement = stored.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    let rows: Vec<String> = rows.map(Result::unwrap).collect();
    let me = &alice.user_id;
    assert_eq!(
        rows,
        [
            format!("{me}|{room}|"),
            format!("{me}|{room}|{event}|"),
            format!("{me}|{me}|so rude"),
        ]
    );
}

#[test]
fn only_what_exists_can_be_reported() {
    let (mut home, alice, bob, room) = shared_room();
    let event = say(&mut home, &alice, &room, "hello");
    let carol = home.sign_up("carol");
    let reason = json!({ "reason": "x" });
    let other = "!other:private.localhost";
    let user = |id: &str| format!("/_matrix/client/v3/users/{id}/report");
    // It takes no membership to report a room or a user, but it does to report an event.
    let report = |home: &mut TestServer, path: &str, body: &Value| {
        home.post_as(&carol.token, path, body.clone())
    };
    report(&mut home, &in_room(&room, "report"), &reason).ok();
    report(&mut home, &user(&bob.user_id), &reason).ok();
    for path in [
        in_room(other, "report"),
        in_room(&room, &format!("report/{event}")),
        in_room(other, &format!("report/{event}")),
        user("@x:private.localhost"),
        user("@alice:elsewhere.example"),
    ] {
        report(&mut home, &path, &reason).err(404, "M_NOT_FOUND");
    }
    let path = in_room(&room, "report/$unknown");
    home.post_as(&bob.token, &path, reason.clone())
        .err(404, "M_NOT_FOUND");
    let long = json!({ "reason": "x".repeat(4_097) });
    for (body, code) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({ "reason": 7 }), "M_BAD_JSON"),
        (long, "M_INVALID_PARAM"),
    ] {
        report(&mut home, &in_room(&room, "report"), &body).err(400, code);
    }
    home.post(&in_room(&room, "report"), reason)
        .err(401, "M_MISSING_TOKEN");
}
