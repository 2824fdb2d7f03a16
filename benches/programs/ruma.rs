//! Writes a registration and a message, and reads a sync, with the types of ruma.

use std::borrow::Cow;

use ruma::{
    api::{
        IncomingResponseExt, OutgoingRequestExt, SupportedVersions,
        auth_scheme::SendAccessToken,
        client::{account::register, message::send_message_event, sync::sync_events},
    },
    events::room::message::RoomMessageEventContent,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).unwrap_or_default();
    let versions = SupportedVersions::from_parts(&["v1.11".to_owned()], &Default::default());
    let mut register = register::v3::Request::new();
    register.username = Some("alice".to_owned());
    let register: http::Request<Vec<u8>> =
        register.try_into_http_request(&server, SendAccessToken::None, Cow::Borrowed(&versions))?;
    println!("{:?}", register.uri());
    let content = RoomMessageEventContent::text_plain("hello");
    let send =
        send_message_event::v3::Request::new("!a:example.org".try_into()?, "1".into(), &content)?;
    let token = SendAccessToken::IfRequired("t");
    let send: http::Request<Vec<u8>> =
        send.try_into_http_request(&server, token, Cow::Borrowed(&versions))?;
    println!("{:?}", send.uri());
    let answer = std::io::read_to_string(std::io::stdin())?;
    let answer = http::Response::new(answer.as_bytes());
    let sync = sync_events::v3::Response::try_from_http_response(answer)?;
    println!("{}", sync.next_batch);
    Ok(())
}
