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
use matricula::{AccountStore, Client, api::Raw, http::Runner};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = env::args().nth(1).ok_or("name the account's directory")?;
    let account = AccountStore::new(dir).account(None)?;
    let account = account.ok_or("no account is kept there")?;
    let bot = Client::new(account, Runner::default());

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
            for event in joined.timeline.iter().flat_map(|line| &line.events) {
                // Whoever sent it may have written anything.
                let Ok(event) = event.read() else { continue };
                let is_text = event.content.get("msgtype") == Some(&json!("m.text"));
                if event.sender == bot.account().user_id || !is_text {
                    continue;
                }
                let echo = json!({"msgtype": "m.notice", "body": event.content.get("body")});
                // Said twice under the same id it is said once.
                let id = event.event_id.as_str();
                let echo = SendMessage::new(room.clone(), "m.room.message", id, Raw::new(&echo)?);
                bot.call(echo).await?;
            }
        }
    }
}
