//! The conditions of push rules.

use serde_json::Value;

use super::{PushContext, PushEvent, glob::Glob};
use crate::canonical_json::MAX_INTEGER;

/// What must hold for a rule to match.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    EventMatch {
        path: Vec<String>,
        glob: Glob,
    },
    PropertyIs {
        path: Vec<String>,
        value: Scalar,
    },
    PropertyContains {
        path: Vec<String>,
        value: Scalar,
    },
    ContainsDisplayName,
    MemberCount {
        comparison: Comparison,
        count: u64,
    },
    SenderMayNotify {
        key: String,
    },
    /// It never holds.
    Unknown,
}

/// A value that is compared exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Text(String),
    Integer(i64),
    Boolean(bool),
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    pub(super) fn read(condition: &Value) -> Self {
        Self::read_known(condition).unwrap_or(Self::Unknown)
    }

    pub(super) fn event_match(key: &str, pattern: &str) -> Self {
        let path = split_path(key);
        let glob = Glob::new(pattern);
        Self::EventMatch { path, glob }
    }

    pub(super) fn text_is(key: &str, text: &str) -> Self {
        let path = split_path(key);
        let value = Scalar::Text(text.to_owned());
        Self::PropertyIs { path, value }
    }

    fn read_known(condition: &Value) -> Option<Self> {
        let text = |field: &str| condition.get(field)?.as_str();
        let path = || text("key").map(split_path);
        let value = || Scalar::read(condition.get("value")?);
        Some(match text("kind")? {
            "event_match" => Self::event_match(text("key")?, text("pattern")?),
            "event_property_is" => Self::PropertyIs {
                path: path()?,
                value: value()?,
            },
            "event_property_contains" => Self::PropertyContains {
                path: path()?,
                value: value()?,
            },
            "contains_display_name" => Self::ContainsDisplayName,
            "room_member_count" => {
                let (comparison, count) = read_count(text("is")?)?;
                Self::MemberCount { comparison, count }
            }
            "sender_notification_permission" => Self::SenderMayNotify {
                key: text("key")?.to_owned(),
            },
            _ => return None,
        })
    }

    pub(super) fn holds(&self, event: &PushEvent, context: &PushContext<'_>) -> bool {
        match self {
            Self::EventMatch { path, glob } => event.text(path).is_some_and(|text| {
                if path == &["content", "body"] {
                    glob.matches_words(text)
                } else {
                    glob.matches(text)
                }
            }),
            Self::PropertyIs { path, value } => {
                event.get(path).and_then(Scalar::read).as_ref() == Some(value)
            }
            Self::PropertyContains { path, value } => {
                let list = event.get(path).and_then(Value::as_array);
                let mut entries = list.into_iter().flatten().filter_map(Scalar::read);
                entries.any(|entry| entry == *value)
            }
            Self::ContainsDisplayName => {
                let name = context.display_name.filter(|it| !it.is_empty());
                let body = event.text(&["content", "body"]);
                name.zip(body)
                    .is_some_and(|(name, body)| Glob::literal(name).matches_words(body))
            }
            Self::MemberCount { comparison, count } => {
                let actual = context.member_count;
                match comparison {
                    Comparison::Equal => actual == *count,
                    Comparison::Less => actual < *count,
                    Comparison::LessOrEqual => actual <= *count,
                    Comparison::Greater => actual > *count,
                    Comparison::GreaterOrEqual => actual >= *count,
                }
            }
            Self::SenderMayNotify { key } => {
                let sender = event.text(&["sender"]);
                sender.zip(context.power).is_some_and(|(sender, power)| {
                    let needed = power.to_notify(key);
                    power.need(sender, needed, "").is_ok()
                })
            }
            Self::Unknown => false,
        }
    }
}

impl Scalar {
    fn read(value: &Value) -> Option<Self> {
        Some(match value {
            Value::String(text) => Self::Text(text.clone()),
            Value::Bool(value) => Self::Boolean(*value),
            Value::Null => Self::Null,
            Value::Number(number) => {
                let range = -MAX_INTEGER..=MAX_INTEGER;
                Self::Integer(number.as_i64().filter(|it| range.contains(it))?)
            }
            Value::Array(_) | Value::Object(_) => return None,
        })
    }
}

/// Reads a count of members, such as `2` or `>=10`.
fn read_count(text: &str) -> Option<(Comparison, u64)> {
    // The longer ones first: `<` is also the beginning of `<=`.
    let comparisons = [
        ("==", Comparison::Equal),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let prefixed = comparisons
        .into_iter()
        .find_map(|(sign, comparison)| Some((comparison, text.strip_prefix(sign)?)));
    let (comparison, digits) = prefixed.unwrap_or((Comparison::Equal, text));
    let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    let count = digits.parse().ok().filter(|_| is_number)?;
    Some((comparison, count))
}

/// Splits a [dot-separated path](https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths). `\.` and `\\`
/// stand for a dot and a backslash in a name.
fn split_path(key: &str) -> Vec<String> {
    let mut path = vec![String::new()];
    let mut chars = key.chars().peekable();
    while let Some(char) = chars.next() {
        let escaped = chars.next_if(|next| char == '\\' && matches!(next, '.' | '\\'));
        if char == '.' && escaped.is_none() {
            path.push(String::new());
        } else if let Some(name) = path.last_mut() {
            name.push(escaped.unwrap_or(char));
        }
    }
    path
}
