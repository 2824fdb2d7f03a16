//! The work as a program on ruma does it.

use std::borrow::Cow;

use http::{Request, Response};
use ruma::{
    OwnedRoomId, OwnedTransactionId,
    api::{
        IncomingResponseExt, OutgoingRequestExt, SupportedVersions,
        auth_scheme::SendAccessToken,
        client::{
            account::register, message::send_message_event, sync::sync_events, uiaa::UiaaResponse,
        },
        error::{Error, FromHttpResponseError},
    },
    events::room::message::RoomMessageEventContent,
};

use crate::inputs::{DEVICE_NAME, MESSAGE, PASSWORD, SERVER, TOKEN, TXN, USERNAME};

/// What the server speaks: found out once, and then at hand.
pub fn versions() -> SupportedVersions {
    let versions = ["v1.1", "v1.11", "v1.16"].map(str::to_owned);
    SupportedVersions::from_parts(&versions, &Default::default())
}

/// A registration.
pub fn register(versions: &SupportedVersions) -> Request<Vec<u8>> {
    let mut request = register::v3::Request::new();
    request.username = Some(USERNAME.to_owned());
    request.password = Some(PASSWORD.to_owned());
    request.initial_device_display_name = Some(DEVICE_NAME.to_owned());
    let token = SendAccessToken::None;
    let built = request.try_into_http_request(SERVER, token, Cow::Borrowed(versions));
    built.expect("a request")
}

/// A message.
pub fn send(versions: &SupportedVersions, room: &OwnedRoomId) -> Request<Vec<u8>> {
    let content = RoomMessageEventContent::text_plain(MESSAGE);
    let txn = OwnedTransactionId::from(TXN);
    let request = send_message_event::v3::Request::new(room.clone(), txn, &content)
        .expect("it has a JSON form");
    let token = SendAccessToken::IfRequired(TOKEN);
    let built = request.try_into_http_request(SERVER, token, Cow::Borrowed(versions));
    built.expect("a request")
}

/// An answer as it came from the wire; nothing is copied.
pub fn answer(status: u16, body: &str) -> Response<&[u8]> {
    let mut response = Response::new(body.as_bytes());
    *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    response
}

/// Reads the answer to a registration.
///
/// # Errors
/// What the server wants instead.
pub fn read_register(
    answer: Response<&[u8]>,
) -> Result<register::v3::Response, FromHttpResponseError<UiaaResponse>> {
    register::v3::Response::try_from_http_response(answer)
}

/// Reads what is new, its events as text.
///
/// # Errors
/// What the server says instead.
pub fn read_sync(
    answer: Response<&[u8]>,
) -> Result<sync_events::v3::Response, FromHttpResponseError<Error>> {
    sync_events::v3::Response::try_from_http_response(answer)
}
