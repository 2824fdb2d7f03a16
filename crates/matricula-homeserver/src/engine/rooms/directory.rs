//! The [directory of public rooms](https://spec.matrix.org/v1.19/client-server-api/#published-room-directory).

use matricula_api::{
    ErrorCode, RoomId,
    client::{
        definitions::{PublicRoomsResponse, Visibility},
        list_public_rooms::{
            GetPublicRooms, GetRoomVisibilityOnDirectory, GetRoomVisibilityOnDirectoryResponse,
            QueryPublicRooms, SetRoomVisibilityOnDirectory, SetRoomVisibilityOnDirectoryResponse,
        },
    },
};
use matricula_core::StepContext;
use matricula_rules::power_levels::Action;
use serde_json::{Value, json};

use super::{
    access::HISTORY_VISIBILITY,
    aliases::CANONICAL,
    events::{CREATE, state_content},
    forbidden, not_found, power, require_joined, require_sender,
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::rooms,
};

/// The largest page of the directory, and the default one, in rooms.
const MAX_PAGE: u64 = 500;
const DEFAULT_PAGE: u64 = 100;

impl Handler for GetRoomVisibilityOnDirectory {
    fn handle(
        self,
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<GetRoomVisibilityOnDirectoryResponse, HandlerError> {
        let is_listed = rooms::is_listed(context.tx, self.room_id.as_str())?
            .ok_or_else(|| not_found("this server has no such room"))?;
        let visibility = if is_listed {
            Visibility::Public
        } else {
            Visibility::Private
        };
        Ok(GetRoomVisibilityOnDirectoryResponse::default().visibility(visibility))
    }
}

impl Handler for SetRoomVisibilityOnDirectory {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetRoomVisibilityOnDirectoryResponse, HandlerError> {
        let (requester, user) = require_sender(context, cx.now)?;
        rooms::is_listed(context.tx, self.room_id.as_str())?
            .ok_or_else(|| not_found("this server has no such room"))?;
        if !requester.is_admin {
            require_joined(context, &self.room_id, &user)?;
            if !power::may(context, &self.room_id, &user, Action::SendState(CANONICAL))? {
                let error = format!("{user} may not change how the room is found");
                return Err(forbidden(error).into());
            }
        }
        let is_listed = match self.visibility {
            None | Some(Visibility::Public) => true,
            Some(Visibility::Private) => false,
            Some(_) => {
                let error = "visibility is public or private";
                return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
            }
        };
        rooms::set_listed(context.tx, self.room_id.as_str(), is_listed)?;
        Ok(SetRoomVisibilityOnDirectoryResponse::default())
    }
}

impl Handler for GetPublicRooms {
    fn handle(
        self,
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<PublicRoomsResponse, HandlerError> {
        let search = Search {
            limit: self.limit,
            since: self.since.as_deref(),
            term: None,
            kinds: None,
        };
        search.run(context)
    }
}

impl Handler for QueryPublicRooms {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<PublicRoomsResponse, HandlerError> {
        context.authenticate(cx.now)?;
        let filter = self.filter.as_ref();
        let term = filter.and_then(|it| it.generic_search_term.as_deref());
        let search = Search {
            limit: self.limit,
            since: self.since.as_deref(),
            term: term.map(str::to_lowercase),
            kinds: filter.and_then(|it| it.room_types.as_deref()),
        };
        search.run(context)
    }
}

/// A search in the directory.
struct Search<'a> {
    limit: Option<u64>,
    since: Option<&'a str>,
    /// In lower case.
    term: Option<String>,
    kinds: Option<&'a [Option<String>]>,
}

impl Search<'_> {
    fn run(&self, context: &RequestContext<'_>) -> Result<PublicRoomsResponse, HandlerError> {
        let limit = self.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let start = match self.since {
            None => 0,
            Some(token) => token
                .strip_prefix('p')
                .and_then(|it| it.parse().ok())
                .ok_or_else(|| {
                    let error = "this token was not issued by this server";
                    ApiError::new(400, ErrorCode::InvalidParam, error)
                })?,
        };
        let mut found = Vec::new();
        for (room, members) in rooms::listed(context.tx)? {
            let entry = entry(context, &room.parse()?, members)?;
            if self.matches(&entry) {
                found.push(entry);
            }
        }
        let total = found.len();
        let end = total.min(start + limit);
        let page: Vec<_> = found.into_iter().skip(start).take(limit).collect();
        let mut response = json!({ "chunk": page, "total_room_count_estimate": total });
        if end < total {
            response["next_batch"] = json!(format!("p{end}"));
        }
        if start > 0 {
            response["prev_batch"] = json!(format!("p{}", start.saturating_sub(limit)));
        }
        Ok(serde_json::from_value(response)?)
    }

    fn matches(&self, entry: &Value) -> bool {
        let has = |field: &str, term: &str| {
            let text = entry[field].as_str().unwrap_or_default();
            text.to_lowercase().contains(term)
        };
        let has_term = self.term.as_deref().is_none_or(|term| {
            ["name", "topic", "canonical_alias"]
                .iter()
                .any(|field| has(field, term))
        });
        let kind = entry["room_type"].as_str();
        let has_kind = self
            .kinds
            .is_none_or(|kinds| kinds.iter().any(|it| it.as_deref() == kind));
        has_term && has_kind
    }
}

/// What the directory says about a room.
fn entry(context: &RequestContext<'_>, room: &RoomId, members: u32) -> Result<Value, HandlerError> {
    let state = |kind: &str, field: &str| {
        let content = state_content(context, room, kind, "")?.unwrap_or(Value::Null);
        let text = content[field].as_str().filter(|it| !it.is_empty());
        Ok::<_, HandlerError>(text.map(str::to_owned))
    };
    let visibility = state(HISTORY_VISIBILITY, "history_visibility")?;
    let guests = state("m.room.guest_access", "guest_access")?;
    let mut entry = json!({
        "room_id": room.as_str(),
        "num_joined_members": members,
        "world_readable": visibility.as_deref() == Some("world_readable"),
        "guest_can_join": guests.as_deref() == Some("can_join"),
    });
    for (field, kind, of) in [
        ("name", "m.room.name", "name"),
        ("topic", "m.room.topic", "topic"),
        ("avatar_url", "m.room.avatar", "url"),
        ("canonical_alias", CANONICAL, "alias"),
        ("join_rule", "m.room.join_rules", "join_rule"),
        ("room_type", CREATE, "type"),
    ] {
        if let Some(text) = state(kind, of)? {
            entry[field] = json!(text);
        }
    }
    Ok(entry)
}
