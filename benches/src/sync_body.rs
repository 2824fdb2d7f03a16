//! Makes a first /sync as large accounts get it; the same seed makes the same text.

use std::fmt::Write;

use matricula_core::{Entropy, SeededEntropy};

/// How many rooms there are.
const ROOMS: u64 = 500;

/// How many events the timeline of a room has.
const TIMELINE: u64 = 20;

/// How many members a room has: this many, or more.
const FEWEST_MEMBERS: u64 = 40;

/// And less than so many more.
const MORE_MEMBERS: u64 = 41;

const WORDS: &[&str] = &[
    "meet",
    "river",
    "tomorrow",
    "we",
    "the",
    "a",
    "seldom",
    "bread",
    "letter",
    "again",
    "and",
    "\\\"so\\\"",
    "window",
    "there",
    "café",
    "eight",
    "nobody",
    "lamp",
    "of",
    "went",
];

/// The body of the answer, about 22 MB.
pub fn sync_body(seed: u64) -> String {
    let mut maker = Maker {
        text: String::with_capacity(24 << 20),
        entropy: SeededEntropy::new(seed),
        time: 1_700_000_000_000,
    };
    maker
        .text
        .push_str(r#"{"next_batch":"s72595_4483_1934","rooms":{"join":{"#);
    for room in 0..ROOMS {
        maker.comma(room);
        maker.room();
    }
    maker.text.push_str(r#"}},"account_data":{"events":["#);
    maker
        .text
        .push_str(r#"{"type":"m.push_rules","content":{"global":{}}}"#);
    maker.text.push_str(
        r#"]},"to_device":{"events":[]},"device_one_time_keys_count":{"signed_curve25519":50}}"#,
    );
    maker.text
}

struct Maker {
    text: String,
    entropy: SeededEntropy,
    time: u64,
}

impl Maker {
    fn room(&mut self) {
        let id = self.id(18);
        self.push(format_args!(r#""!{id}:example.org":{{"#));
        let members = FEWEST_MEMBERS + self.entropy.below(MORE_MEMBERS);
        self.push(format_args!(
            r#""summary":{{"m.joined_member_count":{members},"m.heroes":["@user1:example.org","@user2:example.org"]}},"unread_notifications":{{"highlight_count":0,"notification_count":{}}},"#,
            members % 7,
        ));
        self.state(members);
        self.text
            .push_str(r#""timeline":{"limited":true,"prev_batch":"t34-23535_0_0","events":["#);
        for event in 0..TIMELINE {
            self.comma(event);
            self.message(members);
        }
        self.text.push_str(r#"]},"ephemeral":{"events":["#);
        self.ephemeral(members);
        self.text.push_str(r#"]},"account_data":{"events":["#);
        self.account_data();
        self.text.push_str("]}}");
    }

    fn state(&mut self, members: u64) {
        let name = self.words(3);
        let topic = self.words(12);
        let contents = [
            ("m.room.create", r#"{"creator":"@user0:example.org","room_version":"10"}"#.to_owned()),
            ("m.room.power_levels", r#"{"ban":50,"events":{"m.room.avatar":50,"m.room.name":50,"m.room.power_levels":100},"events_default":0,"invite":0,"kick":50,"redact":50,"state_default":50,"users":{"@user0:example.org":100},"users_default":0}"#.to_owned()),
            ("m.room.join_rules", r#"{"join_rule":"invite"}"#.to_owned()),
            ("m.room.history_visibility", r#"{"history_visibility":"shared"}"#.to_owned()),
            ("m.room.guest_access", r#"{"guest_access":"can_join"}"#.to_owned()),
            ("m.room.canonical_alias", r##"{"alias":"#room:example.org"}"##.to_owned()),
            ("m.room.avatar", r#"{"url":"mxc://example.org/SEsfnsuifSDFSSEF"}"#.to_owned()),
            ("m.room.encryption", r#"{"algorithm":"m.megolm.v1.aes-sha2"}"#.to_owned()),
            ("m.room.name", format!(r#"{{"name":"{name}"}}"#)),
            ("m.room.topic", format!(r#"{{"topic":"{topic}"}}"#)),
        ];
        self.text.push_str(r#""state":{"events":["#);
        for (index, (kind, content)) in (0..).zip(&contents) {
            self.comma(index);
            self.event(kind, 0, Some(""), content);
        }
        for user in 0..members {
            let name = self.words(3);
            let avatar = self.id(32);
            let content = format!(
                r#"{{"avatar_url":"mxc://example.org/{avatar}","displayname":"{name}","membership":"join"}}"#
            );
            self.text.push(',');
            self.event(
                "m.room.member",
                user,
                Some(&format!("@user{user}:example.org")),
                &content,
            );
        }
        self.text.push_str("]},");
    }

    fn message(&mut self, members: u64) {
        let words = 4 + self.entropy.below(32);
        let words = self.words(words);
        let sender = self.entropy.below(members);
        let content = format!(
            r#"{{"body":"{words}","format":"org.matrix.custom.html","formatted_body":"<p>{words}</p>","msgtype":"m.text","m.mentions":{{}}}}"#
        );
        self.event("m.room.message", sender, None, &content);
    }

    fn event(&mut self, kind: &str, sender: u64, state_key: Option<&str>, content: &str) {
        let id = self.id(43);
        self.time += self.entropy.below(60_000);
        let (time, age) = (self.time, self.entropy.below(1_000_000_000));
        self.push(format_args!(
            r#"{{"type":"{kind}","sender":"@user{sender}:example.org","content":{content},"#
        ));
        let unsigned = if let Some(key) = state_key {
            self.push(format_args!(r#""state_key":"{key}","#));
            let replaced = self.id(43);
            format!(r#""replaces_state":"${replaced}","prev_sender":"@user{sender}:example.org""#)
        } else {
            let token = self.id(32);
            format!(r#""membership":"join","transaction_id":"{token}""#)
        };
        self.push(format_args!(
            r#""origin_server_ts":{time},"event_id":"${id}","unsigned":{{"age":{age},{unsigned}}}}}"#
        ));
    }

    fn ephemeral(&mut self, members: u64) {
        let id = self.id(43);
        self.push(format_args!(
            r#"{{"type":"m.receipt","content":{{"${id}":{{"m.read":{{"#
        ));
        for user in 0..members / 2 {
            self.comma(user);
            let time = self.time;
            self.push(format_args!(
                r#""@user{user}:example.org":{{"ts":{time},"thread_id":"main"}}"#
            ));
        }
        self.text
            .push_str(r#"}}}},{"type":"m.typing","content":{"user_ids":["@user1:example.org"]}}"#);
    }

    fn account_data(&mut self) {
        let id = self.id(43);
        self.push(format_args!(
            r#"{{"type":"m.fully_read","content":{{"event_id":"${id}"}}}},{{"type":"m.tag","content":{{"tags":{{"m.favourite":{{"order":0.25}}}}}}}},{{"type":"m.marked_unread","content":{{"unread":false}}}}"#
        ));
    }

    fn words(&mut self, count: u64) -> String {
        let words: Vec<&str> = (0..count)
            .map(|_| WORDS[self.entropy.below(WORDS.len() as u64) as usize])
            .collect();
        words.join(" ")
    }

    fn id(&mut self, length: usize) -> String {
        self.entropy.text(
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_",
            length,
        )
    }

    fn comma(&mut self, index: u64) {
        if index > 0 {
            self.text.push(',');
        }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a text takes all");
    }
}
