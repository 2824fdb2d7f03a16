//! Shows what a queue does when one of its jobs fails, by each of its policies.
//!
//! `cargo run --example queues [SERVER]`: it makes two accounts on `SERVER`, without one on a homeserver
//! that it brings along. Bob sends three messages in a queue, the second to a room that he is not in.
#![allow(
    clippy::print_stdout,
    reason = "a program that people start and look at"
)]

use std::{env, error::Error};

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

/// What Bob does about a queue that is held.
#[derive(Clone, Copy, Debug)]
enum Then {
    Retry,
    Skip,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let own = Server::start(ServerOptions::new(Config::default())).await?;
    let server = env::args().nth(1).unwrap_or(own.url().to_string());
    let (alice, bob) = (register(&server).await?, register(&server).await?);
    // Only a queue that holds asks what then.
    for (policy, then) in [
        (QueuePolicy::AlwaysContinue, Then::Skip),
        (QueuePolicy::CancelFutureIfFailed, Then::Skip),
        (QueuePolicy::Hold, Then::Retry),
        (QueuePolicy::Hold, Then::Skip),
    ] {
        println!("{policy:?}");
        let room = CreateRoom::default().preset(CreateRoomPreset::PublicChat);
        let lobby = alice.call(room.clone()).await?.room_id;
        let attic = alice.call(room).await?.room_id;
        bob.call(JoinRoom::new(lobby.clone().into())).await?;
        send(&bob, [&lobby, &attic, &lobby], policy, then).await?;
    }
    Ok(())
}

/// Sends each word to its room, all in one queue, and prints what happens.
async fn send(
    bob: &Session,
    rooms: [&RoomId; 3],
    policy: QueuePolicy,
    then: Then,
) -> Result<(), Box<dyn Error>> {
    let runner = bob.runner();
    let mut events = runner.events();
    let mut job_ids = Vec::new();
    for (word, room) in WORDS.into_iter().zip(rooms) {
        let message = SendMessage::of(room.clone(), word, &RoomMessage::text(word));
        let job = bob.job(&message).with_queue("talk", policy);
        job_ids.push(runner.submit(job).await?.job_id());
    }
    let mut left = job_ids.len();
    while left > 0 {
        let event = events.recv().await?;
        let at = event
            .job_id()
            .and_then(|it| job_ids.iter().position(|at| *at == it));
        let Some(word) = at.map(|at| WORDS[at]) else {
            continue;
        };
        match event {
            Event::Finished(_, outcome) => {
                println!("  {word}: {}", in_words(&outcome));
                left -= 1;
            }
            Event::Held { queue, outcome, .. } => {
                println!("  {word}: held, {}; {then:?}", in_words(&outcome));
                match then {
                    Then::Retry => {
                        // Now it can succeed.
                        bob.call(JoinRoom::new(rooms[1].clone().into())).await?;
                        runner.retry(&queue);
                    }
                    Then::Skip => runner.skip(&queue),
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Responded(response) => match ApiError::of(response) {
            None => "sent".to_owned(),
            Some(error) => format!("refused ({error})"),
        },
        Outcome::Cancelled => "cancelled".to_owned(),
        other => format!("not sent ({other:?})"),
    }
}
