//! Tokens of positions between two changes.

use matricula_api::ErrorCode;

use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    storage::stream,
};

/// A position between two changes, as clients get it.
pub(super) fn position_token(position: i64) -> String {
    format!("s{position}")
}

/// The position of a token, which must not be in the future.
pub(crate) fn parse_position(
    context: &RequestContext<'_>,
    token: &str,
) -> Result<i64, HandlerError> {
    let position = digits(token).and_then(|it| it.parse().ok());
    let newest = stream::newest(context.tx)?;
    Ok(position.filter(|it| *it <= newest).ok_or_else(unknown)?)
}

/// A place in the history of a room, as clients get it. Most are positions.
pub(super) fn place_token(place: f64) -> String {
    format!("s{place}")
}

/// The place of a token, which must not be in the future.
#[allow(clippy::cast_precision_loss, reason = "positions are far below 2^53")]
pub(super) fn parse_place(context: &RequestContext<'_>, token: &str) -> Result<f64, HandlerError> {
    let (whole, fraction) = token.split_once('.').unwrap_or((token, "0"));
    let is_number = digits(whole).is_some() && is_digits(fraction);
    let place = token.get(1..).filter(|_| is_number);
    let place: Option<f64> = place.and_then(|it| it.parse().ok());
    let newest = stream::newest(context.tx)? as f64;
    Ok(place.filter(|it| *it <= newest).ok_or_else(unknown)?)
}

fn digits(token: &str) -> Option<&str> {
    token.strip_prefix('s').filter(|it| is_digits(it))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}

fn unknown() -> ApiError {
    let error = "this token was not issued by this server";
    ApiError::new(400, ErrorCode::InvalidParam, error)
}
