//! [Unread counts](https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications): which events
//! notify which members of a room, until these have read them.

use std::collections::{BTreeMap, BTreeSet};

use matricula_api::UserId;
use matricula_rules::{
    power_levels::RoomPower,
    push::{self, PushContext, PushEvent},
};
use serde_json::{Value, json};

use super::ruleset::Ruleset;
use crate::engine::{
    context::RequestContext,
    error::HandlerError,
    storage::{
        notifications::{self, NewNotification, NotifiedMember},
        threads::{self, MAIN},
    },
};

/// The default rules that name the user. The others are the same for all users.
const PERSONAL: [&str; 2] = [".m.rule.invite_for_me", ".m.rule.is_user_mention"];

/// The longest text in an event that rules are evaluated for, in bytes: what follows does not count. The time
/// grows with the lengths of text and pattern multiplied.
const MAX_TEXT: usize = 4_096;

/// An event that was appended to a room.
pub(crate) struct AppendedEvent<'a> {
    pub(crate) room: &'a str,
    pub(crate) id: &'a str,
    pub(crate) position: i64,
    pub(crate) kind: &'a str,
    pub(crate) state_key: Option<&'a str>,
    pub(crate) sender: &'a str,
    pub(crate) content: &'a Value,
}

impl AppendedEvent<'_> {
    /// Whether the event is about a user, so that the rules that name the user may match.
    fn names(&self, user_id: &str) -> bool {
        let mentioned = self.content["m.mentions"]["user_ids"].as_array();
        let mut mentioned = mentioned.into_iter().flatten();
        self.state_key == Some(user_id) || mentioned.any(|it| it == user_id)
    }

    fn to_push_event(&self) -> Result<PushEvent, HandlerError> {
        let mut content = self.content.clone();
        shorten(&mut content);
        let mut event = json!({
            "event_id": self.id,
            "room_id": self.room,
            "type": self.kind,
            "sender": self.sender,
            "content": content,
        });
        if let Some(state_key) = self.state_key {
            event["state_key"] = state_key.into();
        }
        PushEvent::parse(&event.to_string()).map_err(internal)
    }
}

/// Cuts every text to [`MAX_TEXT`].
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > MAX_TEXT => {
            let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
        }
        Value::Array(list) => list.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

/// Stores whom an event notifies. Its sender has read what is before it.
pub(crate) fn on_event(
    context: &RequestContext<'_>,
    event: &AppendedEvent<'_>,
    power: impl FnOnce() -> Result<RoomPower, HandlerError>,
) -> Result<(), HandlerError> {
    let (tx, room) = (context.tx, event.room);
    let thread = threads::of_event(tx, room, event.id)?;
    notifications::clear(tx, event.sender, room, Some(&thread), event.position)?;
    let mut members = notifications::members(tx, room)?;
    let member_count = u64::try_from(members.len()).unwrap_or(u64::MAX);
    members.retain(|member| member.user_id != event.sender);
    if members.is_empty() {
        return Ok(());
    }
    let power = power()?;
    let push_event = event.to_push_event()?;
    let shared_rules = shared_rules()?;
    for NotifiedMember { user_id, rules } in &members {
        let own_rules = match rules {
            None if !event.names(user_id) => None,
            rules => Some(rules_of(user_id, rules.as_deref())?),
        };
        let display_name = match rules {
            Some(_) => notifications::display_name(tx, room, user_id)?,
            None => None,
        };
        let push_context = PushContext {
            user_id,
            display_name: display_name.as_deref(),
            member_count,
            power: Some(&power),
        };
        let rules = own_rules.as_ref().unwrap_or(&shared_rules);
        let found = rules.evaluate(&push_event, &push_context);
        if let Some(found) = found.filter(|it| it.notify) {
            let notification = NewNotification {
                user_id,
                room,
                event: event.position,
                thread: &thread,
                sender: event.sender,
                is_highlight: found.highlight,
            };
            notification.insert(tx)?;
        }
    }
    Ok(())
}

/// The rules of all users who changed nothing, for events that name none of them.
fn shared_rules() -> Result<push::Ruleset, HandlerError> {
    let mut rules = push::default_ruleset("");
    if let Some(list) = rules["override"].as_array_mut() {
        list.retain(|rule| !PERSONAL.iter().any(|id| rule["rule_id"] == *id));
    }
    push::Ruleset::parse(&rules.to_string()).map_err(internal)
}

fn rules_of(user_id: &str, changes: Option<&str>) -> Result<push::Ruleset, HandlerError> {
    let user_id: UserId = user_id.parse()?;
    let rules = Ruleset::new(&user_id, changes)?.rules;
    push::Ruleset::parse(&serde_json::to_string(&rules)?).map_err(internal)
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> HandlerError {
    HandlerError::Internal(Box::new(error))
}

/// Numbers of unread events.
#[derive(Clone, Copy, Default)]
struct Counts {
    notifications: u64,
    highlights: u64,
}

impl Counts {
    fn to_json(self) -> Value {
        json!({ "notification_count": self.notifications, "highlight_count": self.highlights })
    }
}

/// Adds the unread counts of a room to its part of a sync: all of them, or those of the main timeline and of
/// each thread. Events of users whom the reader ignores do not count.
pub(crate) fn write_counts(
    context: &RequestContext<'_>,
    reader: &UserId,
    ignored: &BTreeSet<String>,
    room: &str,
    per_thread: bool,
    update: &mut Value,
) -> Result<(), HandlerError> {
    let mut threads: BTreeMap<String, Counts> = BTreeMap::new();
    for row in notifications::unread(context.tx, reader.as_str(), room)? {
        if ignored.contains(&row.sender) {
            continue;
        }
        let thread = match per_thread {
            true => row.thread,
            false => MAIN.to_owned(),
        };
        let counts = threads.entry(thread).or_default();
        counts.notifications += row.notifications;
        counts.highlights += row.highlights;
    }
    let main = threads.remove(MAIN).unwrap_or_default();
    update["unread_notifications"] = main.to_json();
    if per_thread {
        let threads = threads.into_iter();
        let threads = threads.map(|(root, counts)| (root, counts.to_json()));
        update["unread_thread_notifications"] = Value::Object(threads.collect());
    }
    Ok(())
}
