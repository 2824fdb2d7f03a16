//! Sends what it reads to a room, and loses nothing, whenever it is killed.
//!
//! `cargo run --example durable_sender DIR QUEUE ROOM`: it is the account in `DIR`, which
//! `matricula --home DIR register ...` has made; `QUEUE` is a file. Each line that it reads is a name of
//! the message and its text. `kept NAME` says that the message is on disk, `sent NAME EVENT` that the
//! server has it. A line may be given again, under its name, when no `kept` was seen: the server takes
//! a name once. After a crash, start it again: it goes on with what is kept.
#![allow(
    clippy::print_stdout,
    reason = "a program that people start and look at"
)]

use std::{env, error::Error, path::Path};

use matricula::api::{Endpoint, client::room_send::SendMessage, events::RoomMessage};
use matricula::core::{
    QueuePolicy,
    scheduler::{JobId, Outcome},
};
use matricula::runner::{Handle, Runner};
use matricula::{AccountStore, Session};
use matricula_store::{IfLocked, SqliteStore};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    task::JoinSet,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [dir, queue, room] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("name the account's directory, the queue's file and the room".into());
    };
    let session = Session::from_store(AccountStore::new(dir), None)?;
    let store = SqliteStore::open(Path::new(queue), IfLocked::Refuse)?;
    let runner = session.durable(store)?;

    // What earlier processes did not live to tell, or to send.
    let mut sending = JoinSet::new();
    let before = runner.scheduler();
    for job_id in before.ended() {
        if let Some(outcome) = runner.outcome(job_id).await? {
            tell(&runner, job_id, &outcome);
        }
    }
    for (job_id, _) in before.pending() {
        if let Some(handle) = runner.handle(job_id) {
            sending.spawn(see_to_its_end(runner.clone(), handle));
        }
    }

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let (name, text) = line.split_once(' ').unwrap_or((&line, ""));
        let message = SendMessage::of(room.parse()?, name, &RoomMessage::text(text));
        let job = session
            .job(&message)
            .with_data(json!({ "name": name }))
            .with_queue(room, QueuePolicy::Hold);
        let handle = runner.submit(job).await?;
        println!("kept {name}");
        sending.spawn(see_to_its_end(runner.clone(), handle));
        // Those that have ended are not to be held for ever.
        while sending.try_join_next().is_some() {}
    }
    while sending.join_next().await.is_some() {}
    Ok(())
}

async fn see_to_its_end(runner: Runner, handle: Handle) {
    let job_id = handle.job_id();
    tell(&runner, job_id, &handle.await);
}

fn tell(runner: &Runner, job_id: JobId, outcome: &Outcome) {
    match outcome {
        Outcome::Responded(response) => match SendMessage::read(response) {
            Ok(sent) => {
                let name = response.data_str("name").unwrap_or_default();
                println!("sent {name} {}", sent.event_id);
            }
            Err(error) => println!("refused: {error}"),
        },
        other => println!("not sent: {other:?}"),
    }
    // Killed before this, it tells once more.
    runner.drop_outcome(job_id);
}
