//! The durable sender of `examples/`, as the program that it is, killed again and again.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use matricula::{
    AccountStore, Session,
    api::{
        client::{
            create_room::CreateRoom, definitions::Direction, message_pagination::GetRoomMessages,
        },
        events::{RoomEvent, RoomMessage},
    },
    core::{Entropy, SeededEntropy, Store},
    register,
};
use matricula_homeserver::{Config, Server, ServerOptions};
use matricula_store::{IfLocked, SqliteStore};

/// The default number of kills.
const KILLS: usize = 40;
/// Lines that are written to it before it has confirmed the earlier ones.
const AHEAD: usize = 20;

/// What the sender has said in all its lives.
#[derive(Default)]
struct Told {
    /// The last line that it has confirmed.
    kept: usize,
    sent: BTreeSet<usize>,
    other: Vec<String>,
}

struct Sender {
    child: Child,
    listens: thread::JoinHandle<()>,
}

impl Sender {
    /// Starts the sender, and hands it lines for as long as it lives.
    fn start(home: &Path, room: &str, told: &Arc<Mutex<Told>>, lines: usize) -> Self {
        let tests = env::current_exe().unwrap();
        let target: PathBuf = tests.ancestors().nth(2).unwrap().into();
        let program = target.join("examples/durable_sender");
        let mut command = Command::new(&program);
        command.arg(home).arg(home.join("queue.db")).arg(room);
        let built = "cargo build -p matricula --example durable_sender";
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; first: {built}", program.display()));
        let mut stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let told = Arc::clone(told);
        // A line that it stored but did not confirm is written to it again.
        let mut next = told.lock().unwrap().kept + 1;
        let mut feed = move |kept: usize| {
            while next <= lines && next <= kept + AHEAD {
                // It may be dead already.
                let _ = writeln!(stdin, "{next} message {next}");
                next += 1;
            }
            next > lines
        };
        let listens = thread::spawn(move || {
            let mut is_fed = feed(told.lock().unwrap().kept);
            let mut feed = Some(feed);
            if is_fed {
                feed = None;
            }
            for line in stdout.lines().map_while(Result::ok) {
                let mut told = told.lock().unwrap();
                let words: Vec<_> = line.split(' ').collect();
                match words[..] {
                    ["stored", name] => told.kept = told.kept.max(name.parse().unwrap()),
                    ["sent", name, _] => drop(told.sent.insert(name.parse().unwrap())),
                    // The last line of one that was killed may be cut.
                    _ if line.starts_with("not sent") || line.starts_with("refused") => {
                        told.other.push(line);
                    }
                    _ => {}
                }
                is_fed = feed.as_mut().is_none_or(|feed| feed(told.kept));
                if is_fed {
                    // The end of its input.
                    feed = None;
                }
            }
        });
        Self { child, listens }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.listens.join().unwrap();
    }

    fn wait(mut self) {
        assert!(self.child.wait().unwrap().success());
        self.listens.join().unwrap();
    }
}

/// What was said in a room, in order.
async fn said(session: &Session, room: &matricula::api::RoomId) -> Vec<String> {
    let mut said = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let mut page = GetRoomMessages::new(room.clone(), Direction::F).limit(500);
        page.from = from;
        let page = session.call(page).await.unwrap();
        for event in &page.chunk {
            let event = RoomEvent::from_raw(event).unwrap();
            if let Some(Ok(message)) = event.content_as::<RoomMessage>() {
                said.push(message.body().to_owned());
            }
        }
        from = page.end;
        if from.is_none() {
            return said;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_sender_keeps_exact_order() {
    let kills = env::var("MATRICULA_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let homeserver = Server::start(ServerOptions::new(Config::default()))
        .await
        .unwrap();
    let home = tempfile::tempdir().unwrap();
    let session = register(homeserver.url().as_str())
        .username("sender")
        .store(AccountStore::new(home.path()))
        .await
        .unwrap();
    let room = session.call(CreateRoom::default()).await.unwrap().room_id;

    let told = Arc::new(Mutex::new(Told::default()));
    let mut luck = SeededEntropy::new(7);
    for _ in 0..kills {
        let before = told.lock().unwrap().kept;
        let sender = Sender::start(home.path(), room.as_str(), &told, usize::MAX);
        // It lives for some lines, or until it has died of old age.
        let (lives, mut waits) = (luck.below(30) as usize, 0);
        while told.lock().unwrap().kept < before + lives && waits < 10_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            waits += 1;
        }
        tokio::time::sleep(Duration::from_micros(luck.below(3_000))).await;
        sender.kill();
    }
    let lines = told.lock().unwrap().kept + AHEAD;
    Sender::start(home.path(), room.as_str(), &told, lines).wait();

    let said = said(&session, &room).await;
    homeserver.stop().await;
    let told = told.lock().unwrap();
    let expected: Vec<_> = (1..=lines).map(|line| format!("message {line}")).collect();
    let processed: BTreeSet<_> = said.iter().collect();
    let lost = expected
        .iter()
        .filter(|line| !processed.contains(line))
        .count();
    let doubled = said.len() - processed.len();
    let number = |text: &String| text["message ".len()..].parse::<usize>().unwrap();
    let out_of_order = said
        .windows(2)
        .filter(|two| number(&two[0]) >= number(&two[1]))
        .count();
    let in_doubt = told
        .other
        .iter()
        .filter(|it| it.contains("InDoubt"))
        .count();
    eprintln!(
        "{kills} kills: sent {lines}, processed {}, lost {lost}, doubled {doubled}, out of order {out_of_order}, in doubt {in_doubt}",
        said.len()
    );
    assert_eq!(said, expected);
    assert_eq!(told.other, Vec::<String>::new());
    assert_eq!(told.sent, (1..=lines).collect(), "each is told as sent");
    // Nothing stays behind but the counter of job ids.
    let mut queue = SqliteStore::open(&home.path().join("queue.db"), IfLocked::Refuse).unwrap();
    let left = queue.entries().unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
}
