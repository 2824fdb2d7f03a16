//! Registers with the dummy stage, sends a message and syncs over matrix-sdk.

use matrix_sdk::{
    Client,
    config::SyncSettings,
    ruma::{
        RoomId,
        api::client::{account::register, uiaa},
        events::room::message::RoomMessageEventContent,
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).unwrap_or_default();
    let client = Client::builder().homeserver_url(&server).build().await?;
    let mut request = register::v3::Request::new();
    request.username = Some("alice".to_owned());
    request.password = Some("correct horse battery staple".to_owned());
    request.auth = Some(uiaa::AuthData::Dummy(uiaa::Dummy::new()));
    client.matrix_auth().register(request).await?;
    // A room is known once a sync has listed it.
    client.sync_once(SyncSettings::default()).await?;
    let room = client
        .get_room(RoomId::parse("!a:example.org")?.as_ref())
        .ok_or("no such room")?;
    room.send(RoomMessageEventContent::text_plain("hello"))
        .await?;
    let sync = client.sync_once(SyncSettings::default()).await?;
    println!("{}", sync.next_batch);
    Ok(())
}
