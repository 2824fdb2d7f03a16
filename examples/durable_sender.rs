//! Sends the lines of its standard input to a room, and loses none of them when it is killed.
//!
//! `cargo run --example durable_sender DIR QUEUE ROOM` uses the account in `DIR`, which
//! `matricula --home DIR register ...` created. `QUEUE` is a file. Each input line is the name of a
//! message and its text. `stored NAME` means that the message is on disk, `sent NAME EVENT_ID` that the
//! server has it. The name is the transaction id: if `stored` did not appear, repeat the line, and the
//! server still accepts the message only once. After a crash, start the program again: it sends the
//! messages that are stored.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints its results"
)]

use std::{env, error::Error, path::Path, process::ExitCode};

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
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("durable_sender: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let [dir, queue, room] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: durable_sender DIR QUEUE ROOM".into());
    };
    let session = Session::from_store(AccountStore::new(dir), None)?;
    let store = SqliteStore::open(Path::new(queue), IfLocked::Refuse)?;
    let runner = session.durable(store)?;

    // Results that earlier processes did not print, and messages that they did not send.
    let mut sending = JoinSet::new();
    let stored = runner.queues().scheduler();
    for job_id in stored.ended() {
        if let Some(outcome) = runner.outcome(job_id).await? {
            print_result(&runner, job_id, &outcome);
        }
    }
    for (job_id, _) in stored.pending() {
        if let Some(handle) = runner.handle(job_id) {
            sending.spawn(print_when_finished(runner.clone(), handle));
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
        println!("stored {name}");
        sending.spawn(print_when_finished(runner.clone(), handle));
        // Drops the tasks that have finished.
        while sending.try_join_next().is_some() {}
    }
    while sending.join_next().await.is_some() {}
    Ok(())
}

async fn print_when_finished(runner: Runner, handle: Handle) {
    let job_id = handle.job_id();
    print_result(&runner, job_id, &handle.await);
}

fn print_result(runner: &Runner, job_id: JobId, outcome: &Outcome) {
    match outcome {
        Outcome::Responded(response) => match SendMessage::read(response) {
            Ok(sent) => {
                let name = response.data_str("name").unwrap_or_default();
                println!("sent {name} {}", sent.event_id);
            }
            Err(error) => println!("refused: {error}"),
        },
        other => println!("not sent: {other}"),
    }
    // If the process is killed before this line, the next one prints the result again.
    runner.queues().drop_outcome(job_id);
}
