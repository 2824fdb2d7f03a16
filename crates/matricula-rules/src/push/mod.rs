//! [Push rules](https://spec.matrix.org/v1.19/client-server-api/#push-rules): what they say about an event.
//!
//! ```
//! use matricula_rules::push::{PushContext, PushEvent, Ruleset, default_ruleset};
//!
//! let rules = Ruleset::parse(&default_ruleset("@bob:example.org").to_string())?;
//! let event = PushEvent::parse(
//!     r#"{"type": "m.room.message", "sender": "@alice:example.org", "room_id": "!r:example.org",
//!         "content": {"body": "Hi Bob", "m.mentions": {"user_ids": ["@bob:example.org"]}}}"#,
//! )?;
//! let context = PushContext { user_id: "@bob:example.org", display_name: None, member_count: 3, power: None };
//! let found = rules.evaluate(&event, &context).expect("a rule matches");
//! assert_eq!(found.rule_id, ".m.rule.is_user_mention");
//! assert!(found.notify && found.highlight);
//! # Ok::<(), matricula_rules::JsonError>(())
//! ```

mod condition;
mod default_rules;
mod glob;

use serde_json::Value;

use condition::Condition;
pub use default_rules::default_ruleset;

use crate::{JsonError, power_levels::RoomPower};

/// The rules of a user, read once and evaluated for many events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ruleset {
    /// In the order in which they are evaluated.
    rules: Vec<Rule>,
}

/// The kinds of rules, in the order in which they are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RuleKind {
    /// Rules with conditions, evaluated first.
    Override,
    /// Rules for words in messages.
    Content,
    /// Rules for a room.
    Room,
    /// Rules for a sender.
    Sender,
    /// Rules with conditions, evaluated last.
    Underride,
}

impl RuleKind {
    /// All of them, in the order in which they are evaluated.
    pub const ALL: [Self; 5] = [
        Self::Override,
        Self::Content,
        Self::Room,
        Self::Sender,
        Self::Underride,
    ];

    /// The kind as it stands in rulesets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Content => "content",
            Self::Room => "room",
            Self::Sender => "sender",
            Self::Underride => "underride",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    kind: RuleKind,
    id: String,
    enabled: bool,
    conditions: Vec<Condition>,
    notify: bool,
    tweaks: Vec<(String, Value)>,
}

impl Ruleset {
    /// Reads a ruleset as servers send it: the JSON object with lists named after the [kinds](RuleKind), which is the
    /// `global` of `m.push_rules`. Entries that cannot be read are left out; conditions that are not known never match.
    ///
    /// # Errors
    /// If it is not a JSON object.
    pub fn parse(json: &str) -> Result<Self, JsonError> {
        let ruleset: Value = serde_json::from_str(json).map_err(JsonError::from_serde)?;
        let ruleset = ruleset.as_object().ok_or(JsonError::NotAnObject)?;
        let of_kind = |kind: RuleKind| {
            let list = ruleset.get(kind.as_str()).and_then(Value::as_array);
            let rules = list.map_or(&[][..], |it| it.as_slice()).iter();
            rules.filter_map(move |rule| Rule::read(kind, rule))
        };
        let rules = RuleKind::ALL.into_iter().flat_map(of_kind).collect();
        Ok(Self { rules })
    }

    /// Finds the first rule that matches an event; none also for the user's own events, which notify of nothing.
    pub fn evaluate<'a>(
        &'a self,
        event: &PushEvent,
        context: &PushContext<'_>,
    ) -> Option<MatchedRule<'a>> {
        if event.text(&["sender"]) == Some(context.user_id) {
            return None;
        }
        let has_mentions = event.get(&["content", "m.mentions"]).is_some();
        let rule = self.rules.iter().find(|rule| {
            rule.enabled
                && !(has_mentions && rule.is_legacy_mention())
                && rule.conditions.iter().all(|it| it.holds(event, context))
        })?;
        Some(MatchedRule {
            kind: rule.kind,
            rule_id: &rule.id,
            notify: rule.notify,
            highlight: rule.notify && rule.highlights(),
            sound: rule.tweak("sound").and_then(Value::as_str),
            tweaks: &rule.tweaks,
        })
    }
}

impl Rule {
    fn read(kind: RuleKind, rule: &Value) -> Option<Self> {
        let id = rule.get("rule_id")?.as_str()?;
        let conditions = match kind {
            RuleKind::Content => {
                vec![Condition::event_match(
                    "content.body",
                    rule.get("pattern")?.as_str()?,
                )]
            }
            RuleKind::Room => vec![Condition::text_is("room_id", id)],
            RuleKind::Sender => vec![Condition::text_is("sender", id)],
            RuleKind::Override | RuleKind::Underride => match rule.get("conditions") {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(list)) => list.iter().map(Condition::read).collect(),
                Some(_) => return None,
            },
        };
        let actions = rule.get("actions").and_then(Value::as_array);
        let actions = actions.map_or(&[][..], |it| it.as_slice());
        let tweak = |action: &Value| {
            let name = action.get("set_tweak")?.as_str()?;
            let value = action.get("value").cloned().unwrap_or(Value::Null);
            Some((name.to_owned(), value))
        };
        Some(Self {
            kind,
            id: id.to_owned(),
            enabled: rule.get("enabled").and_then(Value::as_bool).unwrap_or(true),
            conditions,
            // The old actions `dont_notify` and `coalesce` do nothing.
            notify: actions.iter().any(|it| it == "notify"),
            tweaks: actions.iter().filter_map(tweak).collect(),
        })
    }

    fn tweak(&self, name: &str) -> Option<&Value> {
        let mut tweaks = self.tweaks.iter();
        tweaks.find(|(it, _)| it == name).map(|(_, value)| value)
    }

    /// A highlight without a value highlights.
    fn highlights(&self) -> bool {
        self.tweak("highlight")
            .is_some_and(|it| it.as_bool().unwrap_or(it.is_null()))
    }

    /// Rules of servers before v1.17. They are meant for events without `m.mentions` only.
    fn is_legacy_mention(&self) -> bool {
        matches!(
            &*self.id,
            ".m.rule.contains_display_name" | ".m.rule.roomnotif" | ".m.rule.contains_user_name"
        )
    }
}

/// An event that rules are evaluated for, read once for all users.
#[derive(Clone)]
pub struct PushEvent(Value);

impl PushEvent {
    /// Reads an event in the format for clients, decrypted if the reader can.
    ///
    /// # Errors
    /// If it is not a JSON object.
    pub fn parse(json: &str) -> Result<Self, JsonError> {
        let event: Value = serde_json::from_str(json).map_err(JsonError::from_serde)?;
        if event.is_object() {
            Ok(Self(event))
        } else {
            Err(JsonError::NotAnObject)
        }
    }

    fn get(&self, path: &[impl AsRef<str>]) -> Option<&Value> {
        path.iter()
            .try_fold(&self.0, |value, name| value.as_object()?.get(name.as_ref()))
    }

    fn text(&self, path: &[impl AsRef<str>]) -> Option<&str> {
        self.get(path)?.as_str()
    }
}

/// What rules read beside the event.
#[derive(Clone, Copy, Debug)]
pub struct PushContext<'a> {
    /// The user whose rules are evaluated.
    pub user_id: &'a str,
    /// The user's display name in the room.
    pub display_name: Option<&'a str>,
    /// How many users are in the room.
    pub member_count: u64,
    /// The power in the room; without it, no sender may notify everyone.
    pub power: Option<&'a RoomPower>,
}

/// The rule that decides about an event.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MatchedRule<'a> {
    /// The kind of the rule.
    pub kind: RuleKind,
    /// The rule.
    pub rule_id: &'a str,
    /// Whether the user is notified of the event.
    pub notify: bool,
    /// Whether the notification is a highlight.
    pub highlight: bool,
    /// The sound of the notification.
    pub sound: Option<&'a str>,
    /// Everything that the rule sets for push gateways and clients, with [`Value::Null`] where it sets no value.
    pub tweaks: &'a [(String, Value)],
}
