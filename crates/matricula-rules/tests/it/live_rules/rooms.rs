//! Rooms in any state, and events that someone tries to send there.

use matricula_rules::{
    RoomVersion,
    hashes::event_id,
    signing::{SigningKey, sign_json},
};
use serde_json::{Map, Value, json};

use super::{events::reference, random::Random};

const ALICE: &str = "@alice:example.org";
const USERS: [&str; 5] = [
    ALICE,
    "@bob:example.org",
    "@carol:example.org",
    "@dave:other.org",
    "@erin:example.org",
];
const LEVELS: [i64; 8] = [-1, 0, 1, 49, 50, 51, 100, 101];
const NAMES: [&str; 7] = [
    "users_default",
    "events_default",
    "state_default",
    "ban",
    "redact",
    "kick",
    "invite",
];
const KINDS: [&str; 6] = [
    "m.room.message",
    "m.room.topic",
    "m.room.power_levels",
    "m.room.redaction",
    "m.room.aliases",
    "m.room.third_party_invite",
];

/// An event, and the state of its room.
pub(super) fn event_in_room(random: &mut Random, version: RoomVersion) -> (Value, Vec<Value>) {
    if random.percent(5) {
        return (create_event(random, version), Vec::new());
    }
    let room = Room::new(random, version);
    let event = match random.below(10) {
        0..5 => room.membership(random),
        5..8 => room.power_levels(random),
        _ => room.other_event(random),
    };
    (event, room.state)
}

/// A create event that is right or wrong in some way.
fn create_event(random: &mut Random, version: RoomVersion) -> Value {
    let mut event = event(version, "m.room.create", ALICE, json!({ "creator": ALICE }));
    event["state_key"] = json!("");
    if version < RoomVersion::V12 || random.percent(20) {
        event["room_id"] =
            json!(random.pick(&["!r:example.org", "!r:example.org", "!r:other.org"]));
    }
    if random.percent(80) {
        event["prev_events"] = json!([]);
    }
    if random.percent(50) {
        event["content"]["room_version"] =
            random.pick(&[json!("1"), json!("12"), json!("99"), json!(5)]);
    }
    if random.percent(20) {
        event["content"].as_object_mut().unwrap().remove("creator");
    }
    if random.percent(40) {
        event["content"]["additional_creators"] = random.pick(&[
            json!([]),
            json!([USERS[1]]),
            json!([USERS[1], "bob"]),
            json!([5]),
            json!(USERS[1]),
            json!({}),
        ]);
    }
    event
}

struct Room {
    version: RoomVersion,
    id: String,
    create_id: String,
    /// Closed to users of other servers.
    unfederated: bool,
    state: Vec<Value>,
    levels: Option<Value>,
    /// The creators in version 12.
    creators: Vec<&'static str>,
}

impl Room {
    fn new(random: &mut Random, version: RoomVersion) -> Self {
        let unfederated = random.percent(10);
        let mut content = json!({ "creator": ALICE, "room_version": version.as_str() });
        if unfederated {
            content["m.federate"] = json!(false);
        }
        let mut creators = vec![ALICE];
        if random.percent(30) {
            content["additional_creators"] = json!([USERS[1]]);
            creators.push(USERS[1]);
        }
        let mut create = event(version, "m.room.create", ALICE, content);
        create["state_key"] = json!("");
        create["prev_events"] = json!([]);
        create["auth_events"] = json!([]);
        if version < RoomVersion::V12 {
            create["room_id"] = json!("!room:example.org");
        }
        let create_id = event_id(&create.to_string(), version).unwrap();
        let id = match version {
            RoomVersion::V12 => create_id.replacen('$', "!", 1),
            _ => "!room:example.org".to_owned(),
        };
        let mut room = Self {
            version,
            id,
            create_id,
            unfederated,
            state: vec![create],
            levels: None,
            creators,
        };
        room.fill(random);
        room
    }

    /// Sets any state.
    fn fill(&mut self, random: &mut Random) {
        let memberships = [
            "join", "join", "join", "invite", "leave", "ban", "knock", "",
        ];
        for user in USERS {
            let is_in_room = user == ALICE && random.percent(80);
            let membership = if is_in_room {
                "join"
            } else {
                random.pick(&memberships)
            };
            if !membership.is_empty() {
                self.set(
                    "m.room.member",
                    user,
                    user,
                    json!({ "membership": membership }),
                );
            }
        }
        let rules = [
            "public",
            "invite",
            "knock",
            "restricted",
            "knock_restricted",
            "private",
        ];
        match random.below(10) {
            0 => {}
            1 => self.set("m.room.join_rules", "", ALICE, json!({})),
            _ => {
                let rule = random.pick(&rules);
                self.set("m.room.join_rules", "", ALICE, json!({ "join_rule": rule }));
            }
        }
        if random.percent(80) {
            let levels = self.any_levels(random);
            self.set("m.room.power_levels", "", ALICE, levels.clone());
            self.levels = Some(levels);
        }
        let public_key = key(1).verifying_key().to_base64();
        let content = match random.below(3) {
            0 => json!({ "public_key": public_key }),
            1 => {
                json!({ "public_key": "A".repeat(43), "public_keys": [{ "public_key": public_key }] })
            }
            _ => json!({ "public_key": key(2).verifying_key().to_base64() }),
        };
        let inviter = random.pick(&USERS);
        self.set("m.room.third_party_invite", "token", inviter, content);
    }

    fn set(&mut self, kind: &str, state_key: &str, sender: &str, content: Value) {
        let mut event = self.event(kind, sender, content);
        event["state_key"] = json!(state_key);
        self.state.push(event);
    }

    fn event(&self, kind: &str, sender: &str, content: Value) -> Value {
        let mut event = event(self.version, kind, sender, content);
        event["room_id"] = json!(self.id);
        event
    }

    /// A level, in the form of any version until 9 for some of them.
    fn level(&self, random: &mut Random) -> Value {
        let level = random.pick(&LEVELS);
        if self.version < RoomVersion::V10 && random.percent(20) {
            json!(random.pick(&[format!("{level}"), format!(" {level} ")]))
        } else {
            json!(level)
        }
    }

    fn any_levels(&self, random: &mut Random) -> Value {
        let lists_creators = self.version < RoomVersion::V12;
        let mut levels = Map::new();
        for name in NAMES {
            if random.percent(40) {
                levels.insert(name.to_owned(), self.level(random));
            }
        }
        for (field, keys) in self.level_keys() {
            let mut entries = Map::new();
            for key in keys {
                if random.percent(50) {
                    entries.insert(key.to_owned(), self.level(random));
                }
            }
            if field == "users" && lists_creators && random.percent(70) {
                entries.insert(ALICE.to_owned(), json!(101));
            }
            levels.insert(field.to_owned(), Value::Object(entries));
        }
        Value::Object(levels)
    }

    /// The keys that power levels have.
    fn level_keys(&self) -> [(&'static str, Vec<&'static str>); 3] {
        let mut users = USERS.to_vec();
        if self.version == RoomVersion::V12 {
            users.retain(|user| !self.creators.contains(user));
        }
        [
            ("users", users),
            ("events", KINDS.to_vec()),
            ("notifications", vec!["room", "x"]),
        ]
    }

    /// A change of membership.
    fn membership(&self, random: &mut Random) -> Value {
        let sender = any_sender(random);
        let mut target = if random.percent(50) {
            sender
        } else {
            random.pick(&USERS)
        };
        if self.unfederated && target.ends_with("other.org") {
            target = sender;
        }
        let memberships = [
            "join", "join", "join", "invite", "invite", "leave", "leave", "ban", "knock", "x",
        ];
        let mut content = json!({ "membership": random.pick(&memberships) });
        if random.percent(3) {
            content = json!({});
        }
        if random.percent(40) {
            content["join_authorised_via_users_server"] = json!(random.pick(&USERS));
        }
        if random.percent(30) {
            content["third_party_invite"] = third_party_invite(random, target);
        }
        let mut event = self.event("m.room.member", sender, content);
        event["state_key"] = json!(target);
        if random.percent(20) {
            event["prev_events"] = reference(self.version, &self.create_id);
        }
        event
    }

    /// New power levels: the old ones with some changes.
    fn power_levels(&self, random: &mut Random) -> Value {
        let mut levels = self.levels.clone().unwrap_or_else(|| json!({}));
        for _ in 0..random.below(3) {
            let name = random.pick(&NAMES);
            if random.percent(30) {
                levels.as_object_mut().unwrap().remove(name);
            } else {
                levels[name] = self.level(random);
            }
        }
        for (field, keys) in self.level_keys() {
            if random.percent(40) {
                let key = random.pick(&keys);
                if random.percent(30) && levels[field].is_object() {
                    levels[field].as_object_mut().unwrap().remove(key);
                } else {
                    levels[field][key] = self.level(random);
                }
            }
        }
        if random.percent(5) {
            let user = random.pick(&["bob", "@bob", ALICE]);
            levels["users"][user] = json!(0);
        }
        if random.percent(5) {
            levels["users"][USERS[2]] = json!(random.pick(&["x", "", "1.5"]));
        }
        if self.version >= RoomVersion::V10 && random.percent(10) {
            let field = random.pick(&["ban", "events", "notifications", "users"]);
            levels[field] = random.pick(&[
                json!("50"),
                json!(null),
                json!(true),
                json!({ "x": "1" }),
                json!([]),
            ]);
        }
        let sender = any_sender(random);
        let mut event = self.event("m.room.power_levels", sender, levels);
        event["state_key"] = json!("");
        event
    }

    fn other_event(&self, random: &mut Random) -> Value {
        let kind = random.pick(&[
            "m.room.message",
            "m.room.topic",
            "m.room.redaction",
            "m.room.aliases",
            "m.room.third_party_invite",
        ]);
        let sender = any_sender(random);
        let mut event = self.event(kind, sender, json!({}));
        if random.percent(60) {
            let keys = ["", sender, ALICE, "example.org", "other.org"];
            event["state_key"] = json!(random.pick(&keys));
        }
        if kind == "m.room.redaction" {
            let redacted = random.pick(&["$x:example.org", "$x:other.org"]);
            event["redacts"] = json!(redacted);
            event["content"]["redacts"] = json!(redacted);
        }
        event
    }
}

/// An event without room.
fn event(version: RoomVersion, kind: &str, sender: &str, content: Value) -> Value {
    let mut event = json!({
        "type": kind,
        "sender": sender,
        "content": content,
        "origin_server_ts": 1_700_000_000_000u64,
        "depth": 5,
        "hashes": { "sha256": "abc" },
        "signatures": {},
        "auth_events": reference(version, "$auth:example.org"),
        "prev_events": reference(version, "$prev:example.org"),
    });
    if version < RoomVersion::V3 {
        let server = sender.split_once(':').unwrap().1;
        event["event_id"] = json!(format!("${kind}-{}:{server}", &sender[1..4]));
    }
    event
}

/// A user, most often the one who has most power.
fn any_sender(random: &mut Random) -> &'static str {
    if random.percent(60) {
        ALICE
    } else {
        random.pick(&USERS)
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("ed25519:0", [seed; 32]).unwrap()
}

/// `third_party_invite` for a user, right or wrong in some way.
fn third_party_invite(random: &mut Random, target: &str) -> Value {
    let user = if random.percent(80) {
        target
    } else {
        random.pick(&USERS)
    };
    let token = random.pick(&["token", "token", "token", "x"]);
    let signed = json!({ "mxid": user, "token": token });
    let signed = sign_json(&signed.to_string(), "id.example.org", &key(1)).unwrap();
    let mut signed: Value = signed.parse().unwrap();
    match random.below(8) {
        0 => signed["more"] = json!(1),
        1 => drop(signed.as_object_mut().unwrap().remove("signatures")),
        2 => drop(signed.as_object_mut().unwrap().remove("mxid")),
        3 => return json!({ "display_name": "b" }),
        _ => {}
    }
    json!({ "display_name": "b", "signed": signed })
}
