//! The changes in a room that a user is or was joined to: timeline, state, summary.

use std::collections::BTreeSet;

use matricula_rules::Membership;
use serde_json::{Map, Value, json};

use super::{Syncing, passes, put_events};
use crate::engine::{
    account_data,
    error::HandlerError,
    push_rules, receipts,
    rooms::{
        MEMBER,
        access::ReadAccess,
        client_event::{Shape, to_federation},
        messages::{MAX_PAGE_BYTES, Walk},
        positions::position_token,
    },
    storage::{
        events::{EventRow, SERVER},
        members::{self, RoomOfMember},
        receipts::has_read_since,
    },
    typing,
};

/// The maximum number of heroes in a room summary.
const MAX_HEROES: u32 = 5;

/// A part of the history of a room, as a sync shows it.
struct Part {
    /// The events, in order.
    timeline: Vec<EventRow>,
    is_limited: bool,
    /// The position just before the timeline.
    start: i64,
    /// The state events, and whether they are those after the timeline.
    state: Vec<EventRow>,
}

impl Syncing<'_> {
    /// The changes in a joined room; none where there are none.
    pub(super) fn joined_room(&self, member: &RoomOfMember) -> Result<Option<Value>, HandlerError> {
        let (room, tx) = (&*member.room, self.reader.context.tx);
        let access = ReadAccess::load(tx, room, self.reader.user)?;
        let was_joined = self
            .since
            .is_some_and(|since| access.membership_at(since) == Membership::Join);
        let known = if was_joined {
            self.since.unwrap_or(0)
        } else {
            0
        };
        let mut part = self.part(&access, room, known, self.up_to)?;
        let is_whole = !was_joined || self.full_state;
        let heroes = self.heroes(room)?;
        self.choose_members(&mut part, room, is_whole, &heroes)?;
        let mut more = Map::new();
        let events = self.room_account_data(room, known)?;
        put_events(&mut more, "account_data", events);
        put_events(&mut more, "ephemeral", self.ephemeral(room, known)?);
        // The unread counts change with the own receipts, also where a filter drops these.
        let has_read = has_read_since(tx, room, self.reader.user.as_str(), known)?;
        let is_empty =
            part.timeline.is_empty() && part.state.is_empty() && more.is_empty() && !has_read;
        if is_empty && !is_whole {
            return Ok(None);
        }
        let is_member = |event: &EventRow| event.kind == MEMBER && event.state_key.is_some();
        let has_new_members = part.timeline.iter().chain(&part.state).any(is_member);
        let mut update = self.write(&access, &part)?;
        for (section, events) in more {
            update[section] = events;
        }
        let per_thread = self.filter.timeline.unread_thread_notifications;
        let (context, user, ignored) = (self.reader.context, self.reader.user, self.ignored);
        push_rules::write_counts(context, user, ignored, room, per_thread, &mut update)?;
        if is_whole || has_new_members {
            let (joined, invited) = members::counts(tx, room)?;
            update["summary"] = json!({
                "m.heroes": heroes,
                "m.joined_member_count": joined,
                "m.invited_member_count": invited,
            });
        }
        Ok(Some(update))
    }

    /// The changed account data of a room.
    fn room_account_data(&self, room: &str, since: i64) -> Result<Vec<Value>, HandlerError> {
        let filter = &self.filter.room_account_data;
        if !filter.matches_room(room) {
            return Ok(Vec::new());
        }
        let context = self.reader.context;
        let mut events = account_data::changes(context, self.requester, since, Some(room))?;
        events.retain(|event| passes(filter, event));
        Ok(events)
    }

    /// The receipts that changed in a room, and who is typing if that changed.
    fn ephemeral(&self, room: &str, since: i64) -> Result<Vec<Value>, HandlerError> {
        let filter = &self.filter.ephemeral;
        if !filter.matches_room(room) {
            return Ok(Vec::new());
        }
        let (context, user) = (self.reader.context, self.reader.user);
        let mut events = receipts::changes(context, user, self.ignored, room, since)?;
        events.extend(typing::changes(context, self.ignored, room, since)?);
        events.retain(|event| passes(filter, event));
        Ok(events)
    }

    /// The changes in a room that the user has left.
    pub(super) fn left_room(&self, member: &RoomOfMember) -> Result<Value, HandlerError> {
        let room = &*member.room;
        let access = ReadAccess::load(self.reader.context.tx, room, self.reader.user)?;
        let since = self.since.unwrap_or(0);
        // One who was not joined since then sees the own membership event alone.
        let was_joined = access.was_joined_between(since, member.position);
        let known = match was_joined {
            true if access.membership_at(since) == Membership::Join => since,
            true => 0,
            false => member.position - 1,
        };
        let mut part = self.part(&access, room, known, member.position)?;
        self.choose_members(&mut part, room, known == 0, &[])?;
        self.write(&access, &part)
    }

    /// The events of a room between two positions, and the state that goes with them.
    fn part(
        &self,
        access: &ReadAccess,
        room: &str,
        known: i64,
        up_to: i64,
    ) -> Result<Part, HandlerError> {
        let (tx, device) = (self.reader.context.tx, self.reader.device);
        let walk = Walk {
            room,
            from: up_to as f64,
            to: Some(known as f64),
            is_back: true,
            is_sync: true,
            limit: self.limit,
            max_bytes: self.bytes_left.get().min(MAX_PAGE_BYTES),
            wanted: &self.filter.timeline,
            ignored: self.ignored,
        };
        let page = walk.page(&self.reader, access)?;
        let mut timeline = page.events;
        timeline.reverse();
        let bytes: usize = timeline.iter().map(|event| event.content.len()).sum();
        self.bytes_left
            .set(self.bytes_left.get().saturating_sub(bytes));
        let start = timeline.first().map_or(up_to, |event| event.position - 1);
        let known = if self.full_state { 0 } else { known };
        let mut state = if self.use_state_after {
            device.state_between(tx, room, known, up_to)?
        } else {
            device.state_between(tx, room, known, start)?
        };
        if !self.use_state_after && !self.filter.timeline.matches_all() {
            // The state events that the filter takes out of the timeline would be lost.
            let shown: BTreeSet<_> = timeline.iter().map(|event| event.position).collect();
            let mut hidden = device.state_between(tx, room, start, up_to)?;
            hidden.retain(|event| !shown.contains(&event.position));
            let is_same =
                |a: &EventRow, b: &EventRow| a.kind == b.kind && a.state_key == b.state_key;
            state.retain(|event| !hidden.iter().any(|it| is_same(it, event)));
            state.extend(hidden);
        }
        let mut wanted = Vec::new();
        for event in state {
            if self.filter.state.matches_event(&event)? {
                wanted.push(event);
            }
        }
        Ok(Part {
            timeline,
            is_limited: page.next.is_some(),
            start,
            state: wanted,
        })
    }

    /// With lazy loading, leaves only those membership events in the state that the client needs.
    fn choose_members(
        &self,
        part: &mut Part,
        room: &str,
        is_whole: bool,
        heroes: &[String],
    ) -> Result<(), HandlerError> {
        if !self.filter.state.lazy_load_members {
            return Ok(());
        }
        let mut needed: BTreeSet<_> = part.timeline.iter().map(|it| it.sender.clone()).collect();
        if is_whole {
            needed.insert(self.reader.user.as_str().to_owned());
            needed.extend(heroes.iter().cloned());
            let is_needed = |event: &EventRow| {
                let member = event.state_key.as_ref();
                event.kind != MEMBER || member.is_some_and(|it| needed.contains(it))
            };
            part.state.retain(is_needed);
            return Ok(());
        }
        // All membership events of a gap stay. Those of senders that did not change are added.
        let up_to = if self.use_state_after {
            self.up_to
        } else {
            part.start
        };
        for sender in needed {
            let is_there =
                |it: &EventRow| it.kind == MEMBER && it.state_key.as_ref() == Some(&sender);
            if !part.state.iter().any(is_there) {
                let tx = self.reader.context.tx;
                part.state
                    .extend(SERVER.state(tx, room, MEMBER, &sender, up_to)?);
            }
        }
        Ok(())
    }

    fn write(&self, access: &ReadAccess, part: &Part) -> Result<Value, HandlerError> {
        let shape = Shape {
            with_relations: part.is_limited,
            ..Shape::IN_ROOM
        };
        let write = |event: &EventRow, shape: Shape| {
            let json = if self.filter.has_federation_format {
                to_federation(event)?
            } else {
                self.reader.write(access, event, shape)?
            };
            Ok::<_, HandlerError>(self.filter.select_fields(json))
        };
        let timeline = part.timeline.iter().map(|event| write(event, shape));
        let timeline = timeline.collect::<Result<Vec<_>, _>>()?;
        let state = part.state.iter().map(|event| write(event, Shape::IN_ROOM));
        let state = state.collect::<Result<Vec<_>, _>>()?;
        let field = if self.use_state_after {
            "state_after"
        } else {
            "state"
        };
        let mut update = json!({
            "timeline": {
                "events": timeline,
                "limited": part.is_limited,
                "prev_batch": position_token(part.start),
            },
        });
        update[field] = json!({ "events": state });
        Ok(update)
    }

    fn heroes(&self, room: &str) -> Result<Vec<String>, HandlerError> {
        let (tx, user) = (self.reader.context.tx, self.reader.user.as_str());
        Ok(members::heroes(tx, room, user, MAX_HEROES)?)
    }
}
