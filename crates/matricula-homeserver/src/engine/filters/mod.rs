//! [Filters](https://spec.matrix.org/v1.19/client-server-api/#filtering): store them, read them from a
//! request, and apply them.
//!
//! | limit | |
//! |---|---|
//! | [`MAX_FILTER`] | bytes of a stored filter |
//!
//! The number of stored filters is limited in `storage::filters`.

mod event_matcher;
mod filter;

pub(crate) use event_matcher::EventMatcher;
pub(crate) use filter::Filter;

use matricula_api::{
    ErrorCode,
    client::{
        definitions::{RoomEventFilter, SyncFilter},
        filter::{CreateFilter, CreateFilterResponse, GetFilter},
    },
    server::read_body,
};
use matricula_core::StepContext;

use super::{
    auth::requester::Requester,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::filters,
};

/// The largest filter that is stored, in bytes.
const MAX_FILTER: usize = 65_536;

impl Handler for CreateFilter {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<CreateFilterResponse, HandlerError> {
        let requester = context.authenticate_as(cx.now, &self.user_id)?;
        let text = serde_json::to_string(&self)?;
        if text.len() > MAX_FILTER {
            let error = format!("a filter must have at most {MAX_FILTER} bytes");
            return Err(ApiError::new(413, ErrorCode::TooLarge, error).into());
        }
        Filter::parse(&text)?;
        let id = filters::insert(context.tx, requester.user, &text)?;
        Ok(CreateFilterResponse::new(id.to_string()))
    }
}

impl Handler for GetFilter {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SyncFilter, HandlerError> {
        let requester = context.authenticate_as(cx.now, &self.user_id)?;
        let text = stored(context, &requester, &self.filter_id)?;
        let text = text.ok_or_else(|| {
            let error = "this user has no filter with this id";
            ApiError::new(404, ErrorCode::NotFound, error)
        })?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// The filter of a sync: the id of a stored one, or a filter as JSON. Without one, everything passes.
pub(crate) fn load(
    context: &RequestContext<'_>,
    requester: &Requester,
    text: Option<&str>,
) -> Result<Filter, HandlerError> {
    let Some(text) = text else {
        return Ok(Filter::default());
    };
    if text.trim_start().starts_with('{') {
        return Filter::parse(text);
    }
    let stored = stored(context, requester, text)?;
    let stored = stored.ok_or_else(|| {
        let error = "the filter is neither JSON nor the id of a filter of this user";
        ApiError::new(400, ErrorCode::InvalidParam, error)
    })?;
    Filter::parse(&stored)
}

/// The filter of a request for events of a room, which is JSON.
pub(crate) fn of_query(text: Option<&str>) -> Result<EventMatcher, HandlerError> {
    let Some(text) = text else {
        return Ok(EventMatcher::default());
    };
    let filter: RoomEventFilter = read_body(text.as_bytes())?;
    Ok(filter.into())
}

fn stored(
    context: &RequestContext<'_>,
    requester: &Requester,
    id: &str,
) -> Result<Option<String>, HandlerError> {
    match id.parse() {
        Ok(id) => Ok(filters::find(context.tx, requester.user, id)?),
        Err(_) => Ok(None),
    }
}
