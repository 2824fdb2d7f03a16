//! [Relations](https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events) of
//! events: what is aggregated into an event, and the lists of related events and of threads.

use matricula_api::{
    EventId, Raw, RoomId,
    client::{
        definitions::Direction,
        relations::{
            GetRelations, GetRelationsResponse, GetRelationsWithRelType,
            GetRelationsWithRelTypeAndEventType, GetRelationsWithRelTypeAndEventTypeResponse,
            GetRelationsWithRelTypeResponse,
        },
        threads_list::{GetThreads, GetThreadsResponse, ThreadFilter},
    },
    common::ClientEvent,
};
use matricula_core::{StepContext, Timestamp};

use super::{
    DEFAULT_PAGE, MAX_PAGE,
    access::ReadAccess,
    client_event::Reader,
    not_found,
    positions::{parse_position, position_token},
    require_reader,
};
use crate::engine::{
    context::RequestContext,
    error::HandlerError,
    handler::Handler,
    storage::events::{EventRow, SERVER},
};

const REPLACE: &str = "m.replace";
const REFERENCE: &str = "m.reference";
pub(super) const THREAD: &str = "m.thread";
/// The maximum number of hops that `recurse` follows.
const MAX_HOPS: u64 = 3;
/// The maximum number of events that refer to one, in its aggregation.
const MAX_REFERENCES: i64 = 1_000;

/// What others said about an event.
pub(super) struct Aggregated {
    /// The newest edit.
    pub(super) edit: Option<EventRow>,
    /// The ids of the events that refer to it.
    pub(super) references: Vec<String>,
    pub(super) thread: Option<ThreadSummary>,
}

/// The thread below an event.
pub(super) struct ThreadSummary {
    pub(super) latest: EventRow,
    pub(super) count: i64,
    /// Whether the reader sent the root or an event of the thread.
    pub(super) has_own: bool,
}

/// What is aggregated into an event; none where there is nothing. State events and redacted ones have no
/// aggregations.
pub(super) fn bundled(
    reader: &Reader<'_>,
    access: &ReadAccess,
    event: &EventRow,
) -> Result<Option<Aggregated>, HandlerError> {
    if event.state_key.is_some() || event.redacted_by.is_some() {
        return Ok(None);
    }
    let tx = reader.context.tx;
    let related = |rel_type: &str, rest: &str, limit: i64| {
        let condition = format!(
            "events.relates_to = ?3 AND events.rel_type = ?4 AND events.room = ?5
                 AND events.state_key IS NULL {rest} LIMIT ?6"
        );
        let values: [&dyn rusqlite::ToSql; 4] = [&event.id, &rel_type, &event.room, &limit];
        let mut found = reader.device.query(tx, &condition, &values)?;
        found.retain(|it| access.may_read(it));
        Ok::<_, HandlerError>(found)
    };
    let edits = related(REPLACE, "ORDER BY events.sent_at DESC, events.id DESC", 100)?;
    let edit = edits.into_iter().find(|edit| {
        edit.sender == event.sender
            && edit.kind == event.kind
            && edit.content.contains("\"m.new_content\"")
    });
    let references = related(REFERENCE, "ORDER BY events.position", MAX_REFERENCES)?;
    let references: Vec<_> = references.into_iter().map(|it| it.id).collect();
    let latest = related(THREAD, "ORDER BY events.position DESC", 1)?.pop();
    let thread = match latest {
        Some(latest) => {
            let sql = "SELECT count(*), coalesce(sum(sender = ?3), 0) FROM events
                 WHERE relates_to = ?1 AND rel_type = 'm.thread' AND room = ?2";
            let values = [&event.id, &event.room, reader.user.as_str()];
            let mut statement = tx.prepare_cached(sql)?;
            let (count, own): (i64, i64) =
                statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
            let has_own = own > 0 || event.sender == reader.user.as_str();
            Some(ThreadSummary {
                latest,
                count,
                has_own,
            })
        }
        None => None,
    };
    let is_empty = edit.is_none() && references.is_empty() && thread.is_none();
    Ok((!is_empty).then_some(Aggregated {
        edit,
        references,
        thread,
    }))
}

/// A question for related events.
struct Question<'a> {
    room: &'a RoomId,
    event: &'a EventId,
    rel_type: Option<&'a str>,
    kind: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    limit: Option<u64>,
    dir: Option<&'a Direction>,
    recurse: Option<bool>,
}

/// A page of related events.
struct Page {
    chunk: Vec<Raw<ClientEvent>>,
    next: Option<String>,
    prev: Option<String>,
    depth: Option<u64>,
}

fn related(
    context: &RequestContext<'_>,
    now: Timestamp,
    question: &Question<'_>,
) -> Result<Page, HandlerError> {
    let (requester, user) = require_reader(context, now)?;
    let reader = Reader::new(context, &requester, &user, now);
    let tx = context.tx;
    let room = question.room.as_str();
    // An event that may not be read is not distinguished from one that does not exist.
    let access = ReadAccess::load(tx, room, reader.user)?;
    let parent = SERVER.find(tx, room, question.event.as_str())?;
    let is_visible = access.readable_state().is_some();
    let parent = parent.filter(|parent| is_visible && access.may_read(parent));
    parent.ok_or_else(|| not_found("the room has no such event"))?;
    let is_back = question.dir != Some(&Direction::F);
    let position = |token| parse_position(context, token);
    let from = question.from.map(position).transpose()?;
    let to = question.to.map(position).transpose()?;
    let limit = question.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let hops = if question.recurse == Some(true) {
        MAX_HOPS
    } else {
        1
    };
    let (lower, upper) = match is_back {
        true => (to.unwrap_or(0), from.unwrap_or(i64::MAX)),
        false => (from.unwrap_or(0), to.unwrap_or(i64::MAX)),
    };
    let order = if is_back { "DESC" } else { "ASC" };
    let condition = format!(
        "events.position IN (
             WITH RECURSIVE tree (id, position, hops) AS (
                 SELECT id, position, 1 FROM events WHERE relates_to = ?3 AND room = ?4
                 UNION
                 SELECT child.id, child.position, tree.hops + 1 FROM events AS child
                     JOIN tree ON child.relates_to = tree.id
                     WHERE child.room = ?4 AND tree.hops < ?5
             )
             SELECT position FROM tree
         ) AND events.position > ?6 AND events.position <= ?7
           AND (?8 IS NULL OR events.rel_type = ?8) AND (?9 IS NULL OR events.kind = ?9)
         ORDER BY events.position {order}"
    );
    let hops_limit = i64::try_from(hops).unwrap_or(1);
    let values: [&dyn rusqlite::ToSql; 7] = [
        &question.event.as_str(),
        &room,
        &hops_limit,
        &lower,
        &upper,
        &question.rel_type,
        &question.kind,
    ];
    let mut events = reader.device.query(tx, &condition, &values)?;
    events.retain(|event| access.may_read(event));
    let has_more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| has_more);
    let next = next.map(|last| position_token(last.position - i64::from(is_back)));
    Ok(Page {
        chunk: reader.write_raw(&access, &events)?,
        next,
        prev: question.from.map(str::to_owned),
        depth: (question.recurse == Some(true)).then_some(hops),
    })
}

impl Handler for GetRelations {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRelationsResponse, HandlerError> {
        let question = Question {
            room: &self.room_id,
            event: &self.event_id,
            rel_type: None,
            kind: None,
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            limit: self.limit,
            dir: self.dir.as_ref(),
            recurse: self.recurse,
        };
        let page = related(context, cx.now, &question)?;
        let mut response = GetRelationsResponse::new(page.chunk);
        response.next_batch = page.next;
        response.prev_batch = page.prev;
        response.recursion_depth = page.depth;
        Ok(response)
    }
}

impl Handler for GetRelationsWithRelType {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRelationsWithRelTypeResponse, HandlerError> {
        let question = Question {
            room: &self.room_id,
            event: &self.event_id,
            rel_type: Some(&self.rel_type),
            kind: None,
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            limit: self.limit,
            dir: self.dir.as_ref(),
            recurse: self.recurse,
        };
        let page = related(context, cx.now, &question)?;
        let mut response = GetRelationsWithRelTypeResponse::new(page.chunk);
        response.next_batch = page.next;
        response.prev_batch = page.prev;
        response.recursion_depth = page.depth;
        Ok(response)
    }
}

impl Handler for GetRelationsWithRelTypeAndEventType {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRelationsWithRelTypeAndEventTypeResponse, HandlerError> {
        let question = Question {
            room: &self.room_id,
            event: &self.event_id,
            rel_type: Some(&self.rel_type),
            kind: Some(&self.event_type),
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            limit: self.limit,
            dir: self.dir.as_ref(),
            recurse: self.recurse,
        };
        let page = related(context, cx.now, &question)?;
        let mut response = GetRelationsWithRelTypeAndEventTypeResponse::new(page.chunk);
        response.next_batch = page.next;
        response.prev_batch = page.prev;
        response.recursion_depth = page.depth;
        Ok(response)
    }
}

impl Handler for GetThreads {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetThreadsResponse, HandlerError> {
        let (requester, user) = require_reader(context, cx.now)?;
        let room = self.room_id.as_str();
        let access = ReadAccess::require(context.tx, room, &user)?;
        let reader = Reader::new(context, &requester, &user, cx.now);
        let limit = self.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let from = self.from.as_deref();
        let from = from.map(|it| parse_position(context, it)).transpose()?;
        let only_own = self.include == Some(ThreadFilter::Participated);
        // The roots by the newest event of their threads.
        let sql = "SELECT relates_to, max(position) AS newest, coalesce(sum(sender = ?2), 0)
             FROM events WHERE room = ?1 AND rel_type = 'm.thread'
             GROUP BY relates_to HAVING newest <= ?3 ORDER BY newest DESC";
        let mut statement = context.tx.prepare_cached(sql)?;
        let values = rusqlite::params![room, user.as_str(), from.unwrap_or(i64::MAX)];
        let found =
            statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let found = found.collect::<Result<Vec<(String, i64, i64)>, _>>()?;
        let (mut roots, mut next) = (Vec::new(), None);
        for (root, newest, own) in found {
            let Some(root) = reader.device.find(context.tx, room, &root)? else {
                continue;
            };
            let has_own = own > 0 || root.sender == user.as_str();
            if !access.may_read(&root) || (only_own && !has_own) {
                continue;
            }
            if roots.len() == limit {
                next = Some(position_token(newest));
                break;
            }
            roots.push(root);
        }
        let mut response = GetThreadsResponse::new(reader.write_raw(&access, &roots)?);
        response.next_batch = next;
        Ok(response)
    }
}
