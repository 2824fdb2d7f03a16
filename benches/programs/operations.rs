//! Writes a registration and a message, and reads a sync, with the types of matricula-api.

use matricula_api::{
    Endpoint, Raw,
    client::{registration::Register, room_send::SendMessage, sync::Sync},
};
use matricula_core::{Body, Response, ServerUrl};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server: ServerUrl = std::env::args().nth(1).unwrap_or_default().parse()?;
    let register = Register {
        username: Some("alice".into()),
        ..Default::default()
    };
    println!("{:?}", register.job(&server));
    let content = Raw::from_json(r#"{"msgtype":"m.text","body":"hello"}"#.into())?;
    let send = SendMessage::new("!a:example.org".parse()?, "m.room.message", "1", content);
    println!("{:?}", send.job(&server));
    let answer = std::io::read_to_string(std::io::stdin())?;
    let answer = Response::new(200, Vec::new(), Body::Json(answer));
    println!("{}", Sync::read(&answer)?.next_batch);
    Ok(())
}
