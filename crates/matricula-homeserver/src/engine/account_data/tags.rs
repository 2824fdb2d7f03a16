//! [Tags](https://spec.matrix.org/v1.19/client-server-api/#room-tagging) of rooms: the account data `m.tag`.

use matricula_api::{
    ErrorCode,
    client::tags::{
        DeleteRoomTag, DeleteRoomTagResponse, GetRoomTags, GetRoomTagsResponse, SetRoomTag,
        SetRoomTagResponse,
    },
};
use matricula_core::StepContext;
use serde_json::{Map, Value, json};

use super::{object, set};
use crate::engine::{
    auth::requester::Requester,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
};

const TAG: &str = "m.tag";
/// The longest name of a tag, in bytes.
const MAX_TAG: usize = 255;

impl Handler for GetRoomTags {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRoomTagsResponse, HandlerError> {
        let requester = context.authenticate_as(cx.now, &self.user_id)?;
        let tags = tags(context, &requester, self.room_id.as_str())?;
        Ok(serde_json::from_value(json!({ "tags": tags }))?)
    }
}

impl Handler for SetRoomTag {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetRoomTagResponse, HandlerError> {
        let requester = context.authenticate_as(cx.now, &self.user_id)?;
        if self.tag.len() > MAX_TAG {
            let error = format!("the name of a tag must have at most {MAX_TAG} bytes");
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
        }
        let room = self.room_id.as_str();
        let mut tags = tags(context, &requester, room)?;
        tags.insert(self.tag.clone(), serde_json::to_value(&self)?);
        set_tags(context, &requester, room, tags)?;
        Ok(SetRoomTagResponse::default())
    }
}

impl Handler for DeleteRoomTag {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeleteRoomTagResponse, HandlerError> {
        let requester = context.authenticate_as(cx.now, &self.user_id)?;
        let room = self.room_id.as_str();
        let mut tags = tags(context, &requester, room)?;
        if tags.remove(&self.tag).is_some() {
            set_tags(context, &requester, room, tags)?;
        }
        Ok(DeleteRoomTagResponse::default())
    }
}

/// The tags of a room. Clients may store any content as account data, so what is no tag is left out.
fn tags(
    context: &RequestContext<'_>,
    requester: &Requester,
    room: &str,
) -> Result<Map<String, Value>, HandlerError> {
    let mut content = object(context, requester.user, room, TAG)?;
    let Some(Value::Object(mut tags)) = content.remove("tags") else {
        return Ok(Map::new());
    };
    tags.retain(|_, tag| tag.is_object());
    Ok(tags)
}

fn set_tags(
    context: &RequestContext<'_>,
    requester: &Requester,
    room: &str,
    tags: Map<String, Value>,
) -> Result<(), HandlerError> {
    let content = Map::from_iter([("tags".to_owned(), tags.into())]);
    set(context, requester, room, TAG, &content)
}
