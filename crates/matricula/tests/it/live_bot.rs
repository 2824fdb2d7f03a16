//! The echo bot of `examples/`, as the program that it is, on a real Synapse and on the embedded
//! homeserver.

use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use matricula::{
    AccountStore, Session,
    api::{
        client::{create_room::CreateRoom, room_send::SendMessage, sync::Sync},
        events::{RoomEvent, RoomMessage},
    },
    register,
};
use matricula_homeserver::{Config, Server, ServerOptions};
use tempfile::TempDir;

use crate::live::{Synapse, unique};

/// Ends the bot however the test ends.
struct Bot(Child);

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bot {
    /// Starts the bot, and returns once it listens.
    fn start(home: &TempDir) -> Self {
        let tests = env::current_exe().unwrap();
        let target: PathBuf = tests.ancestors().nth(2).unwrap().into();
        let program = target.join("examples/echo_bot");
        let mut command = Command::new(&program);
        command.arg(home.path()).stdout(Stdio::piped());
        let built = "cargo build -p matricula --example echo_bot";
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; first: {built}", program.display()));
        let mut bot = Self(child);
        let mut line = String::new();
        let mut said = BufReader::new(bot.0.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        assert!(line.ends_with("listens\n"), "{line:?}");
        bot
    }
}

/// Sender, message type and text of every message in the room of a person, in order.
async fn conversation(person: &Session, until: usize) -> Vec<(String, String, String)> {
    let mut said = Vec::new();
    let mut since: Option<String> = None;
    // Each turn waits on the server, ten seconds at most.
    for _ in 0..30 {
        let news = Sync {
            since,
            timeout: Some(Duration::from_secs(10)),
            ..Default::default()
        };
        let news = person.call(news).await.unwrap();
        let rooms = news.rooms.unwrap_or_default().join.unwrap_or_default();
        for event in rooms.values().filter_map(|room| room.timeline.as_ref()) {
            for event in &event.events {
                let event = RoomEvent::from_raw(event).unwrap();
                if let Some(message) = event.content_as::<RoomMessage>() {
                    let message = message.unwrap();
                    let kind = match &message {
                        RoomMessage::Text(_) => "m.text",
                        RoomMessage::Notice(_) => "m.notice",
                        other => panic!("{other:?}"),
                    };
                    said.push((event.sender.to_string(), kind.into(), message.body().into()));
                }
            }
        }
        if said.len() >= until {
            return said;
        }
        since = Some(news.next_batch);
    }
    panic!("the bot did not answer: {said:?}");
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn bot_echoes_each_message_once() {
    echoes_each_message_once(Synapse::of("open").url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_on_the_embedded_homeserver() {
    let server = Server::start(ServerOptions::new(Config::default()))
        .await
        .unwrap();
    echoes_each_message_once(server.url().as_str()).await;
    server.stop().await;
}

async fn echoes_each_message_once(server: &str) {
    let home = tempfile::tempdir().unwrap();
    let echo = register(server)
        .username(format!("bot-{}", unique()))
        .store(AccountStore::new(home.path()))
        .await
        .unwrap();
    let echo = echo.account().user_id.clone();
    let person = register(server).username(unique()).await.unwrap();
    let me = person.account().user_id.to_string();
    let _bot = Bot::start(&home);

    let room = CreateRoom::default().invite(vec![echo.clone()]);
    let room = person.call(room).await.unwrap().room_id;
    for text in ["hello", "are you there?"] {
        let said = SendMessage::of(room.clone(), unique(), &RoomMessage::text(text));
        person.call(said).await.unwrap();
    }

    let said = conversation(&person, 4).await;
    let by = |who: &str, kind: &str| -> Vec<String> {
        let found = said.iter().filter(|one| one.0 == who && one.1 == kind);
        found.map(|one| one.2.clone()).collect()
    };
    assert_eq!(by(&me, "m.text"), ["hello", "are you there?"]);
    assert_eq!(by(echo.as_str(), "m.notice"), ["hello", "are you there?"]);
    assert_eq!(said.len(), 4, "nobody else spoke: {said:?}");
}
