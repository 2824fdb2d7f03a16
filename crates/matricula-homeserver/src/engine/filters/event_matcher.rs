//! Which events a part of a filter lets through.

use matricula_api::client::definitions::{EventFilter, RoomEventFilter};
use serde_json::Value;

use crate::engine::storage::events::EventRow;

/// A part of a filter: which events it lets through, and how many. The default lets everything through.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EventMatcher {
    /// The maximum number of events, where the client asks for one.
    pub(crate) limit: Option<u64>,
    pub(crate) lazy_load_members: bool,
    pub(crate) include_redundant_members: bool,
    pub(crate) unread_thread_notifications: bool,
    types: List,
    senders: List,
    rooms: List,
    contains_url: Option<bool>,
}

impl From<EventFilter> for EventMatcher {
    fn from(filter: EventFilter) -> Self {
        Self {
            limit: filter.limit,
            types: List::new(filter.types, filter.not_types),
            senders: List::new(filter.senders, filter.not_senders),
            ..Self::default()
        }
    }
}

impl From<RoomEventFilter> for EventMatcher {
    fn from(filter: RoomEventFilter) -> Self {
        Self {
            limit: filter.limit,
            lazy_load_members: filter.lazy_load_members == Some(true),
            include_redundant_members: filter.include_redundant_members == Some(true),
            unread_thread_notifications: filter.unread_thread_notifications == Some(true),
            types: List::new(filter.types, filter.not_types),
            senders: List::new(filter.senders, filter.not_senders),
            rooms: List::new(filter.rooms, filter.not_rooms),
            contains_url: filter.contains_url,
        }
    }
}

impl EventMatcher {
    /// Whether events of this room pass. If they do not, nothing of the room passes.
    pub(crate) fn matches_room(&self, room: &str) -> bool {
        self.rooms.contains(room, |entry, room| entry == room)
    }

    /// Whether an event of this type and sender passes. Account data and typing notifications have no
    /// sender.
    pub(crate) fn matches(&self, kind: &str, sender: Option<&str>) -> bool {
        self.types.contains(kind, matches_pattern)
            && sender.is_none_or(|it| self.senders.contains(it, |entry, it| entry == it))
    }

    /// Whether an event of a room passes.
    pub(crate) fn matches_event(&self, event: &EventRow) -> serde_json::Result<bool> {
        if !self.matches_room(&event.room) || !self.matches(&event.kind, Some(&event.sender)) {
            return Ok(false);
        }
        let Some(wanted) = self.contains_url else {
            return Ok(true);
        };
        let content: Value = serde_json::from_str(&event.content)?;
        Ok(content.get("url").is_some_and(Value::is_string) == wanted)
    }

    /// Whether every event passes.
    pub(crate) fn matches_all(&self) -> bool {
        let lists = [&self.types, &self.senders, &self.rooms];
        self.contains_url.is_none() && lists.into_iter().all(|list| *list == List::default())
    }
}

/// What must be in a list, and what must not be in another.
#[derive(Clone, Debug, Default, PartialEq)]
struct List {
    /// Anything if absent; nothing if empty.
    included: Option<Vec<String>>,
    excluded: Vec<String>,
}

impl List {
    fn new<T: AsRef<str>>(
        included: Option<impl IntoIterator<Item = T>>,
        excluded: Option<impl IntoIterator<Item = T>>,
    ) -> Self {
        let texts = |list: &mut dyn Iterator<Item = T>| -> Vec<String> {
            list.map(|it| it.as_ref().to_owned()).collect()
        };
        Self {
            included: included.map(|list| texts(&mut list.into_iter())),
            excluded: excluded.map_or_else(Vec::new, |list| texts(&mut list.into_iter())),
        }
    }

    fn contains(&self, text: &str, matches: fn(&str, &str) -> bool) -> bool {
        let any = |list: &[String]| list.iter().any(|entry| matches(entry, text));
        self.included.as_deref().is_none_or(any) && !any(&self.excluded)
    }
}

/// Whether a text matches a pattern, in which `*` stands for any characters.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches_pattern;

    #[test]
    fn wildcard_stands_for_any_characters() {
        for (pattern, text, expected) in [
            ("m.room.message", "m.room.message", true),
            ("m.room.message", "m.room.messages", false),
            ("m.room.message", "m.room", false),
            ("m.room.*", "m.room.name", true),
            ("m.room.*", "m.room.", true),
            ("m.room.*", "m.room", false),
            ("*", "", true),
            ("*", "anything", true),
            ("", "", true),
            ("", "m", false),
            ("*.name", "m.room.name", true),
            ("*.name", "m.room.names", false),
            ("m.*.x", "m.x", false),
            ("m.*.x", "m..x", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a**b", "ab", true),
            ("*b*b*", "abcab", true),
            ("*b*b*", "abca", false),
            ("a*é", "aéé", true),
            ("M.*", "m.room", false),
            ("m.?oom", "m.room", false),
        ] {
            assert_eq!(matches_pattern(pattern, text), expected, "{pattern} {text}");
        }
    }
}
