//! The work as a program on matricula does it.

use http::{Request, Uri};
use matricula_api::{
    ApiError, Endpoint, RoomId,
    client::{
        registration::{Register, RegisterResponse},
        room_send::SendMessage,
        sync::{Sync, SyncResponse},
    },
    events::{EventContent, RoomMessage},
};
use matricula_core::{Body, Job, Response, Secret, ServerUrl};

use crate::inputs::{DEVICE_NAME, MESSAGE, PASSWORD, TXN, USERNAME};

/// A registration as a value.
pub fn register(server: &ServerUrl) -> Job {
    Register {
        username: Some(USERNAME.into()),
        password: Some(PASSWORD.into()),
        initial_device_display_name: Some(DEVICE_NAME.into()),
        ..Default::default()
    }
    .job(server)
}

/// A message as a value.
pub fn send(server: &ServerUrl, room: &RoomId) -> Job {
    let content = RoomMessage::text(MESSAGE);
    SendMessage::new(room.clone(), RoomMessage::TYPE, TXN, content.to_raw()).job(server)
}

/// The job as it goes out, its address taken as it is.
pub fn wire(job: Job, token: Option<&Secret>) -> Request<Vec<u8>> {
    let request = job.into_http(token).expect("the job can be sent");
    request.map(Body::into_bytes)
}

/// The same with what the runner does to be sure that no other reader of the address sees another server
/// or path in it.
pub fn wire_checked(job: Job, token: Option<&Secret>) -> Request<Vec<u8>> {
    let host = job.url().find("://").expect("a scheme") + "://".len();
    let path = job.url()[host..].find('/').expect("a path");
    let (server, path) = job.url().split_at(host + path);
    let server: ServerUrl = server.parse().expect("an address of a server");
    assert!(path.split('/').all(|it| it != "." && it != ".."));
    let sent = [server.as_str(), path].concat();
    let sent: Uri = sent.try_into().expect("an address");
    assert_eq!(sent, *job.url());
    wire(job, token)
}

/// An answer as it came from the wire.
pub fn answer(status: u16, body: &str) -> Response {
    Response::new(status, Vec::new(), Body::Json(body.to_owned()))
}

/// Reads the answer to a registration.
///
/// # Errors
/// What the server wants instead.
pub fn read_register(answer: &Response) -> Result<RegisterResponse, ApiError> {
    Register::read(answer)
}

/// Reads what is new, its events as text.
///
/// # Errors
/// What the server says instead.
pub fn read_sync(answer: &Response) -> Result<SyncResponse, ApiError> {
    Sync::read(answer)
}
