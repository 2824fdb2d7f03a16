//! A bot that accepts invitations and repeats every text message.
//!
//! `cargo run --example echo_bot DIR` uses the account in `DIR`, which
//! `matricula --home DIR register ...` created. It goes on until its session is over: what fails is
//! reported, and while the server cannot be reached, the bot tries again.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints its results"
)]

use std::{env, error::Error, process::ExitCode, time::Duration};

use matricula::api::client::{
    joining::JoinRoom,
    room_send::SendMessage,
    sync::{Sync, SyncResponse},
};
use matricula::api::events::{RoomEvent, RoomMessage};
use matricula::api::{ApiError, ErrorCode};
use matricula::auth::{AuthError, SessionError};
use matricula::{AccountStore, Session};

const FIRST_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_bot: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let dir = env::args().nth(1).ok_or("usage: echo_bot DIR")?;
    let bot = Session::from_store(AccountStore::new(dir), None)?;
    let mut since: Option<String> = None;
    let mut wait = FIRST_WAIT;
    loop {
        let sync = Sync {
            since: since.clone(),
            // The first sync answers at once.
            timeout: since.as_ref().map(|_| Duration::from_secs(30)),
            ..Sync::default()
        };
        let news = match bot.call(sync).await {
            Ok(news) => news,
            // Only a person can sign in again.
            Err(error) if is_signed_out(&error) => return Err(error.into()),
            Err(error) => {
                eprintln!("{error}; trying again in {} s", wait.as_secs());
                tokio::time::sleep(wait).await;
                wait = MAX_WAIT.min(wait * 2);
                continue;
            }
        };
        wait = FIRST_WAIT;
        accept_invitations(&bot, &news).await;
        // The first sync has messages from before the start.
        if since.is_some() {
            answer(&bot, &news).await;
        } else {
            println!("{} listens", bot.account().user_id);
        }
        since = Some(news.next_batch);
    }
}

fn is_signed_out(error: &matricula::Error) -> bool {
    match error {
        matricula::Error::Api(ApiError::Matrix(error)) => error.code == ErrorCode::UnknownToken,
        matricula::Error::Auth(AuthError::Session(error)) => matches!(
            error,
            SessionError::SignedOut { .. }
                | SessionError::SoftLogout { .. }
                | SessionError::NotSignedIn { .. }
        ),
        _ => false,
    }
}

async fn accept_invitations(bot: &Session, news: &SyncResponse) {
    let rooms = news.rooms.iter();
    for (room, _) in rooms.flat_map(|rooms| rooms.invite.iter().flatten()) {
        if let Err(error) = bot.call(JoinRoom::new(room.clone().into())).await {
            eprintln!("could not join {room}: {error}");
        }
    }
}

async fn answer(bot: &Session, news: &SyncResponse) {
    let me = bot.account().user_id;
    let rooms = news.rooms.iter();
    for (room, joined) in rooms.flat_map(|rooms| rooms.join.iter().flatten()) {
        let events = joined.timeline.iter().flat_map(|timeline| &timeline.events);
        // Events are untrusted input: `content_as` fails on malformed content.
        for event in events.flat_map(RoomEvent::from_raw) {
            if let Some(Ok(RoomMessage::Text(message))) = event.content_as()
                && event.sender != me
            {
                let echo = RoomMessage::notice(message.body);
                // The same transaction id twice sends the message once.
                let echo = SendMessage::of(room.clone(), event.event_id.as_str(), &echo);
                if let Err(error) = bot.call(echo).await {
                    eprintln!("could not answer in {room}: {error}");
                }
            }
        }
    }
}
