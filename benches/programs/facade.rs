//! Registers, sends a message and syncs over matricula's facade.

use matricula::api::client::{room_send::SendMessage, sync::Sync};
use matricula::api::events::RoomMessage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).unwrap_or_default();
    let session = matricula::register(&server)
        .username("alice")
        .password("correct horse battery staple")
        .accept_terms()
        .await?;
    let hello = RoomMessage::text("hello");
    let send = SendMessage::of("!a:example.org".parse()?, "1", &hello);
    session.call(send).await?;
    println!("{}", session.call(Sync::default()).await?.next_batch);
    Ok(())
}
