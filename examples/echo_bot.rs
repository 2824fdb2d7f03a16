//! A bot that joins where it is invited and says again what it is told.
//!
//! `cargo run --example echo_bot DIR`: it is the account in `DIR`, which
//! `matricula --home DIR register ...` has made.
#![allow(
    clippy::print_stdout,
    reason = "a program that people start and look at"
)]

use std::{env, error::Error, time::Duration};

use matricula::api::client::{joining::JoinRoom, room_send::SendMessage, sync::Sync};
use matricula::api::events::{RoomEvent, RoomMessage};
use matricula::{AccountStore, Session};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = env::args().nth(1).ok_or("name the account's directory")?;
    let bot = Session::from_store(AccountStore::new(dir), None)?;

    // What was said before it came is not answered.
    let mut news = bot.call(Sync::default()).await?;
    println!("{} listens", bot.account().user_id);
    loop {
        let rooms = news.rooms.iter();
        for (room, _) in rooms.flat_map(|rooms| rooms.invite.iter().flatten()) {
            bot.call(JoinRoom::new(room.clone().into())).await?;
        }
        let next = Sync::default()
            .since(news.next_batch)
            .timeout(Duration::from_secs(30));
        news = bot.call(next).await?;
        for (room, joined) in news
            .rooms
            .iter()
            .flat_map(|rooms| rooms.join.iter().flatten())
        {
            let events = joined.timeline.iter().flat_map(|line| &line.events);
            // Whoever sent it may have written anything.
            for event in events.flat_map(RoomEvent::from_raw) {
                if let Some(Ok(RoomMessage::Text(said))) = event.content_as()
                    && event.sender != bot.account().user_id
                {
                    let echo = RoomMessage::notice(said.body);
                    // Said twice under the same id it is said once.
                    let echo = SendMessage::of(room.clone(), event.event_id.as_str(), &echo);
                    bot.call(echo).await?;
                }
            }
        }
    }
}
