//! Shows what a queue does when one of its jobs fails, for each queue policy.
//!
//! `cargo run --example queues [SERVER]` registers two accounts on `SERVER`, by default an embedded
//! homeserver. Bob sends three messages in one queue, the second to a room that he has not joined.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints its results"
)]

use std::{env, error::Error, process::ExitCode};

use matricula::api::{
    ApiError, RoomId,
    client::{
        create_room::{CreateRoom, CreateRoomPreset},
        joining::JoinRoom,
        room_send::SendMessage,
    },
    events::RoomMessage,
};
use matricula::core::{
    QueuePolicy,
    scheduler::{Event, Outcome},
};
use matricula::{Session, register};
use matricula_homeserver::{Config, Server, ServerOptions};

const WORDS: [&str; 3] = ["one", "two", "three"];

/// What Bob does with a held queue.
#[derive(Clone, Copy, Debug)]
enum OnHold {
    Retry,
    Skip,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("queues: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let embedded = Server::start(ServerOptions::new(Config::default())).await?;
    let server = env::args().nth(1).unwrap_or(embedded.url().to_string());
    let (alice, bob) = (register(&server).await?, register(&server).await?);
    // `OnHold` matters only for the policy `Hold`.
    for (policy, on_hold) in [
        (QueuePolicy::AlwaysContinue, OnHold::Skip),
        (QueuePolicy::CancelFutureIfFailed, OnHold::Skip),
        (QueuePolicy::Hold, OnHold::Retry),
        (QueuePolicy::Hold, OnHold::Skip),
    ] {
        println!("{policy:?}");
        let room = CreateRoom::default().preset(CreateRoomPreset::PublicChat);
        let lobby = alice.call(room.clone()).await?.room_id;
        let attic = alice.call(room).await?.room_id;
        bob.call(JoinRoom::new(lobby.clone().into())).await?;
        send(&bob, [&lobby, &attic, &lobby], policy, on_hold).await?;
    }
    Ok(())
}

/// Sends each word to its room, in one queue, and prints the results.
async fn send(
    bob: &Session,
    rooms: [&RoomId; 3],
    policy: QueuePolicy,
    on_hold: OnHold,
) -> Result<(), Box<dyn Error>> {
    let runner = bob.runner();
    let mut events = runner.events();
    let mut job_ids = Vec::new();
    for (word, room) in WORDS.into_iter().zip(rooms) {
        let message = SendMessage::of(room.clone(), word, &RoomMessage::text(word));
        let job = bob.job(&message).with_queue("talk", policy);
        job_ids.push(runner.submit(job).await?.job_id());
    }
    let mut unfinished = job_ids.len();
    while unfinished > 0 {
        let event = events.recv().await?;
        let index = event
            .job_id()
            .and_then(|job_id| job_ids.iter().position(|id| *id == job_id));
        let Some(word) = index.map(|index| WORDS[index]) else {
            continue;
        };
        match event {
            Event::Finished(_, outcome) => {
                println!("  {word}: {}", describe(&outcome));
                unfinished -= 1;
            }
            Event::Held { queue, outcome, .. } => {
                println!("  {word}: held, {}; {on_hold:?}", describe(&outcome));
                match on_hold {
                    OnHold::Retry => {
                        // After joining, the message can be sent.
                        bob.call(JoinRoom::new(rooms[1].clone().into())).await?;
                        runner.queues().retry(&queue);
                    }
                    OnHold::Skip => runner.queues().skip(&queue),
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Responded(response) => match ApiError::from_response(response) {
            None => "sent".to_owned(),
            Some(error) => format!("refused ({error})"),
        },
        Outcome::Cancelled => "cancelled".to_owned(),
        other => format!("not sent ({other})"),
    }
}
