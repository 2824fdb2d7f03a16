//! A bot that accepts invitations and repeats every text message.
//!
//! `cargo run --example echo_bot DIR` uses the account in `DIR`, which
//! `matricula --home DIR register ...` created.
#![allow(clippy::print_stdout, reason = "an example prints its results")]

use std::{env, error::Error, time::Duration};

use matricula::api::client::{joining::JoinRoom, room_send::SendMessage, sync::Sync};
use matricula::api::events::{RoomEvent, RoomMessage};
use matricula::{AccountStore, Session};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = env::args().nth(1).ok_or("usage: echo_bot DIR")?;
    let bot = Session::from_store(AccountStore::new(dir), None)?;

    // The first sync skips messages from before the start.
    let mut sync = bot.call(Sync::default()).await?;
    println!("{} listens", bot.account().user_id);
    loop {
        let rooms = sync.rooms.iter();
        for (room, _) in rooms.flat_map(|rooms| rooms.invite.iter().flatten()) {
            bot.call(JoinRoom::new(room.clone().into())).await?;
        }
        let next = Sync::default()
            .since(sync.next_batch)
            .timeout(Duration::from_secs(30));
        sync = bot.call(next).await?;
        for (room, joined) in sync
            .rooms
            .iter()
            .flat_map(|rooms| rooms.join.iter().flatten())
        {
            let events = joined.timeline.iter().flat_map(|timeline| &timeline.events);
            // Events are untrusted input: `content_as` fails on malformed content.
            for event in events.flat_map(RoomEvent::from_raw) {
                if let Some(Ok(RoomMessage::Text(message))) = event.content_as()
                    && event.sender != bot.account().user_id
                {
                    let echo = RoomMessage::notice(message.body);
                    // The same transaction id twice sends the message once.
                    let echo = SendMessage::of(room.clone(), event.event_id.as_str(), &echo);
                    bot.call(echo).await?;
                }
            }
        }
    }
}
