//! [Room aliases](https://spec.matrix.org/v1.19/client-server-api/#room-aliases).

use matricula_api::{
    ErrorCode, RoomAliasId, RoomId, ServerName, UserId,
    client::directory::{
        DeleteRoomAlias, DeleteRoomAliasResponse, GetLocalAliases, GetLocalAliasesResponse,
        GetRoomIdByAlias, GetRoomIdByAliasResponse, SetRoomAlias, SetRoomAliasResponse,
    },
};
use matricula_core::StepContext;
use matricula_rules::power_levels::Action;
use serde_json::Value;

use super::{
    access::ReadAccess,
    events::{NewEvent, append_event, state_content},
    forbidden,
    membership::require_room,
    not_found, power, require_joined, require_reader, require_sender,
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    services::query_alias,
    storage::aliases,
};

pub(super) const CANONICAL: &str = "m.room.canonical_alias";
/// The maximum number of aliases that an account makes.
const MAX_ALIASES: u32 = 1_000;

impl Handler for GetRoomIdByAlias {
    fn handle(
        self,
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<GetRoomIdByAliasResponse, HandlerError> {
        let (room, _) = find_alias(context, self.room_alias.as_str())?;
        let own: ServerName = context.config.server_name.parse()?;
        let room: RoomId = room.parse()?;
        Ok(GetRoomIdByAliasResponse::default()
            .room_id(room)
            .servers(vec![own]))
    }
}

impl Handler for SetRoomAlias {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetRoomAliasResponse, HandlerError> {
        let (_, user) = require_sender(context, cx.now)?;
        require_room(context, &self.room_id)?;
        require_joined(context, &self.room_id, &user)?;
        make(context, &user, &self.room_alias, &self.room_id)?;
        Ok(SetRoomAliasResponse::default())
    }
}

impl Handler for DeleteRoomAlias {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeleteRoomAliasResponse, HandlerError> {
        let (requester, user) = require_sender(context, cx.now)?;
        let alias = self.room_alias.as_str();
        let (room, creator) = aliases::find(context.tx, alias)?.ok_or_else(unknown_alias)?;
        let room: RoomId = room.parse()?;
        let may = creator == user.as_str()
            || requester.is_admin
            || power::may(context, &room, &user, Action::SendState(CANONICAL))?;
        if !may {
            let error =
                format!("{user} did not make {alias}, and may not change the room's aliases");
            return Err(forbidden(error).into());
        }
        aliases::delete(context.tx, alias)?;
        // The room no longer says that it has it, if the user may change that.
        if let Some(mut content) = state_content(context, &room, CANONICAL, "")?
            && remove_alias(&mut content, alias)
            && power::may(context, &room, &user, Action::SendState(CANONICAL))?
        {
            let new = NewEvent {
                room: &room,
                sender: &user,
                kind: CANONICAL,
                state_key: Some(""),
                content: &content,
            };
            append_event(context, cx, &new)?;
        }
        Ok(DeleteRoomAliasResponse::default())
    }
}

impl Handler for GetLocalAliases {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetLocalAliasesResponse, HandlerError> {
        let (_, user) = require_reader(context, cx.now)?;
        let room = self.room_id.as_str();
        let access = ReadAccess::load(context.tx, room, &user)?;
        if !access.is_joined() && access.readable_state() != Some(i64::MAX) {
            return Err(forbidden(format!("{user} is not in the room {room}")).into());
        }
        let found = aliases::of_room(context.tx, room)?.into_iter();
        let found = found.map(|alias| Ok(alias.parse::<RoomAliasId>()?));
        let found = found.collect::<Result<Vec<_>, HandlerError>>()?;
        Ok(GetLocalAliasesResponse::new(found))
    }
}

/// The room of an alias, and the user who made it. The application service of an unknown one is asked.
pub(super) fn find_alias(
    context: &RequestContext<'_>,
    alias: &str,
) -> Result<(String, String), HandlerError> {
    let found = aliases::find(context.tx, alias)?;
    if found.is_none() {
        query_alias(context, alias);
    }
    Ok(found.ok_or_else(unknown_alias)?)
}

/// Makes an alias of this server.
pub(super) fn make(
    context: &RequestContext<'_>,
    user: &UserId,
    alias: &RoomAliasId,
    room: &RoomId,
) -> Result<(), HandlerError> {
    let alias = alias.as_str();
    let server = alias.split_once(':').map(|(_, server)| server);
    if server != Some(&*context.config.server_name) {
        let error = format!(
            "an alias on this server ends with :{}",
            context.config.server_name
        );
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
    }
    let mut services = context.config.application_services.iter();
    if services.any(|it| it.owns_alias(alias) && !it.owns(user.localpart())) {
        let error = format!("the alias {alias} is reserved for an application service");
        return Err(ApiError::new(400, ErrorCode::Exclusive, error).into());
    }
    if alias.len() > super::MAX_NAME {
        let error = format!("an alias must have at most {} bytes", super::MAX_NAME);
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
    }
    if aliases::count_of(context.tx, user.as_str())? >= MAX_ALIASES {
        let error = format!("an account makes at most {MAX_ALIASES} aliases");
        return Err(ApiError::new(403, ErrorCode::ResourceLimitExceeded, error).into());
    }
    if !aliases::insert(context.tx, alias, room.as_str(), user.as_str())? {
        let error = format!("the alias {alias} exists already");
        return Err(ApiError::new(409, ErrorCode::Unknown, error).into());
    }
    Ok(())
}

/// Rejects canonical aliases that do not lead to the room, unless they were there before.
pub(super) fn check_canonical(
    context: &RequestContext<'_>,
    room: &RoomId,
    content: &Value,
) -> Result<(), HandlerError> {
    let before = state_content(context, room, CANONICAL, "")?.unwrap_or(Value::Null);
    let known: Vec<_> = names(&before).collect();
    for alias in names(content).filter(|alias| !known.contains(alias)) {
        let alias = alias.as_str().unwrap_or_default();
        if alias.parse::<RoomAliasId>().is_err() {
            let error = format!("{alias:?} is no room alias");
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
        }
        let leads_here =
            aliases::find(context.tx, alias)?.is_some_and(|(found, _)| found == room.as_str());
        if !leads_here {
            let error = format!("the alias {alias} does not lead to this room");
            return Err(ApiError::new(400, ErrorCode::BadAlias, error).into());
        }
    }
    Ok(())
}

/// The aliases in the content of `m.room.canonical_alias`.
fn names(content: &Value) -> impl Iterator<Item = &Value> {
    let others = content["alt_aliases"].as_array().into_iter().flatten();
    let main = content.get("alias").filter(|it| !it.is_null() && *it != "");
    main.into_iter().chain(others)
}

/// Removes an alias from the content of `m.room.canonical_alias`. Returns whether it was there.
fn remove_alias(content: &mut Value, alias: &str) -> bool {
    let Some(fields) = content.as_object_mut() else {
        return false;
    };
    let is_main = fields.get("alias").is_some_and(|it| it == alias);
    if is_main {
        fields.remove("alias");
    }
    let Some(others) = fields.get_mut("alt_aliases").and_then(Value::as_array_mut) else {
        return is_main;
    };
    let before = others.len();
    others.retain(|it| it != alias);
    is_main || others.len() < before
}

fn unknown_alias() -> ApiError {
    not_found("this server has no such room alias")
}
