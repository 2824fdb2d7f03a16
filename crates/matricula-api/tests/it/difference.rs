//! The differences between two JSON values.

use std::fmt;

use serde_json::Value;

/// One thing that differs, and where: a JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    pub(crate) kind: Kind,
    pub(crate) at: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A removed key whose value was null.
    NullLost,
    /// A removed key.
    Lost,
    /// A key that was not there.
    Added,
    /// Another value.
    Changed,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.at)
    }
}

/// All that differs.
pub(crate) fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(before, after, String::new(), &mut found);
    found
}

fn compare(before: &Value, after: &Value, at: String, found: &mut Vec<Difference>) {
    let mut say = |kind, at| found.push(Difference { kind, at });
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                match new.get(key) {
                    Some(after) => compare(value, after, at, found),
                    None if value.is_null() => found.push(Difference {
                        kind: Kind::NullLost,
                        at,
                    }),
                    None => found.push(Difference {
                        kind: Kind::Lost,
                        at,
                    }),
                }
            }
            for key in new.keys().filter(|key| !old.contains_key(*key)) {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                found.push(Difference {
                    kind: Kind::Added,
                    at,
                });
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(old, new, format!("{at}/{index}"), found);
            }
        }
        (old, new) if old == new => {}
        _ => say(Kind::Changed, at),
    }
}

#[test]
fn differences_have_kinds() {
    use serde_json::json;
    let before = json!({"a": [1, {"b/c": null, "d": 1}], "e": 2.0, "f": "g"});
    let after = json!({"a": [1, {"h": 1}], "e": 2, "f": "g"});
    let shown: Vec<String> = differences(&before, &after)
        .iter()
        .map(Difference::to_string)
        .collect();
    assert_eq!(
        shown,
        [
            "NullLost /a/1/b~1c",
            "Lost /a/1/d",
            "Added /a/1/h",
            "Changed /e"
        ]
    );
    assert!(differences(&before, &before).is_empty());
}
