//! Compares the scheduler with a plain heap, the runner with a bare loop on the same HTTP client, and
//! durable queues with bare SQLite and the same commits.

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use criterion::measurement::Measurement;
use matricula_benches::{
    inputs::SERVER,
    jobs::{Ended, JOBS, MAX_IN_FLIGHT, QUEUES, by_heap, by_scheduler, messages, responses},
    thread_time::ThreadTime,
};
use matricula_core::{Job, Method, Response, ServerUrl, Store, StoreError, WriteBatch};
use matricula_http::{HttpOptions, Runner};
use matricula_store::{IfLocked, SqliteStore};
use rusqlite::{Connection, params};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// How often each case is measured, alternating; the median counts.
const ROUNDS: usize = 9;
/// Requests per round.
const REQUESTS: usize = 5_000;
/// Durable submits per round.
const SUBMITS: usize = 300;

fn main() {
    // The named cases, or all.
    let named: Vec<String> = std::env::args().skip(1).collect();
    let cases: [(&str, fn()); 3] = [("schedule", schedule), ("run", run), ("persist", persist)];
    for (name, case) in cases {
        if named.is_empty() || named.iter().any(|named| named == name) {
            case();
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn row(what: &str, ours: f64, peer: f64, unit: &str, ratio: f64) {
    println!("{what}\t{ours:.0}\t{peer:.0}\t{unit}\t{ratio:.3}");
}

type Work = fn(&[Arc<Job>], Vec<Response>, &mut dyn FnMut(&Job)) -> Ended;

fn schedule() {
    let server: ServerUrl = SERVER.parse().expect("an address");
    let ours: Work = |jobs, responses, on_send| by_scheduler(jobs, responses, on_send);
    let peers: Work = |jobs, responses, on_send| by_heap(jobs, responses, on_send);
    assert_eq!(order(&server, ours), order(&server, peers));
    let time = |work: Work| {
        let jobs: Vec<_> = messages(&server, JOBS, QUEUES)
            .into_iter()
            .map(Arc::new)
            .collect();
        let responses = responses(JOBS);
        let start = ThreadTime.start();
        let ended = black_box(work(&jobs, responses, &mut |_| ()));
        let took = ThreadTime.end(start);
        assert_eq!(ended.outcomes.len(), JOBS);
        took
    };
    let (mut ours_took, mut peers_took) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours_took.push(time(ours));
        peers_took.push(time(peers));
    }
    let a_job = |times| median(times).as_nanos() as f64 / JOBS as f64;
    let (ours, peer) = (a_job(ours_took), a_job(peers_took));
    row(
        "scheduler beside a heap",
        ours,
        peer,
        "ns a job",
        ours / peer,
    );
}

/// The messages that were sent, by queue. Both schedulers must send all of them.
fn order(server: &ServerUrl, work: Work) -> HashMap<String, Vec<String>> {
    let mut queues: HashMap<String, Vec<String>> = HashMap::new();
    let jobs: Vec<_> = messages(server, JOBS, QUEUES)
        .into_iter()
        .map(Arc::new)
        .collect();
    let ended = work(&jobs, responses(JOBS), &mut |job| {
        let (room, name) = job.url().split_once("/send/").expect("a message");
        queues
            .entry(room.to_owned())
            .or_default()
            .push(name.to_owned());
    });
    assert!(ended.outcomes.iter().all(|outcome| outcome.success()));
    assert_eq!(ended.outcomes.len(), JOBS);
    queues
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A server on its own thread, which gives every request the same response.
fn server() -> ServerUrl {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("not blocking");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
    });
    format!("http://{address}").parse().expect("an address")
}

async fn serve(mut stream: TcpStream) -> Option<()> {
    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
        content-length: 17\r\n\r\n{\"event_id\":\"$e\"}";
    stream.set_nodelay(true).ok()?;
    let (mut read, mut piece) = (Vec::new(), vec![0; 4096]);
    loop {
        let count = stream
            .read(&mut piece)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        read.extend_from_slice(&piece[..count]);
        while let Some(end) = end_of_request(&read) {
            read.drain(..end);
            stream.write_all(RESPONSE).await.ok()?;
        }
    }
}

fn end_of_request(read: &[u8]) -> Option<usize> {
    Some(read.windows(4).position(|it| it == b"\r\n\r\n")? + 4)
}

fn run() {
    let server = server();
    beside_a_loop("runner beside a bare loop", &server);
    // A real server: the embedded homeserver, if its URL is given.
    if let Ok(server) = std::env::var("MATRICULA_SERVER") {
        let server = server.parse().expect("an address");
        beside_a_loop("the same, towards a homeserver", &server);
    }
}

fn beside_a_loop(what: &str, server: &ServerUrl) {
    let runtime = runtime();
    let runner = Runner::new(HttpOptions::default());
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .tls_backend_preconfigured(no_tls())
        .build()
        .expect("a client");
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let ours_now = runtime.block_on(by_runner(&runner, server));
        let peers_now = runtime.block_on(by_loop(&client, server));
        // The first round opens the connections.
        if round > 0 {
            ours.push(ours_now);
            peers.push(peers_now);
        }
    }
    let a_second = |times| (SHARE * MAX_IN_FLIGHT) as f64 / median(times).as_secs_f64();
    let (ours, peer) = (a_second(ours), a_second(peers));
    row(what, ours, peer, "requests/s", ours / peer);
}

/// Nothing here is encrypted, so that the system's certificates need not be loaded.
fn no_tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// Requests per task.
const SHARE: usize = REQUESTS / MAX_IN_FLIGHT;
/// Needs no token.
const VERSIONS: &str = "/_matrix/client/versions";

async fn by_runner(runner: &Runner, server: &ServerUrl) -> Duration {
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..MAX_IN_FLIGHT {
        let (runner, server) = (runner.clone(), server.clone());
        tasks.spawn(async move {
            for _ in 0..SHARE {
                let job = Job::new(&server, VERSIONS, Method::Get, "getVersions");
                let handle = runner.submit(job).await.expect("it is accepted");
                assert!(handle.await.success());
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a share");
    }
    start.elapsed()
}

async fn by_loop(client: &reqwest::Client, server: &ServerUrl) -> Duration {
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..MAX_IN_FLIGHT {
        let (client, server) = (client.clone(), server.clone());
        tasks.spawn(async move {
            for _ in 0..SHARE {
                let url = format!("{}{VERSIONS}", server.as_str());
                let response = client.get(url).send().await.expect("a response");
                assert!(response.status().is_success());
                let header: Vec<(String, String)> = response
                    .headers()
                    .iter()
                    .map(|(name, value)| {
                        let value = String::from_utf8_lossy(value.as_bytes());
                        (name.to_string(), value.into_owned())
                    })
                    .collect();
                let body = response.text().await.expect("a body");
                black_box((header, body));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a share");
    }
    start.elapsed()
}

/// Records the batches, so that they can be committed again.
struct Recorded {
    store: SqliteStore,
    batches: Arc<Mutex<Vec<WriteBatch>>>,
}

impl Store for Recorded {
    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.batches.lock().expect("a list").push(batch.clone());
        self.store.commit(batch)
    }

    fn get(&mut self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(table, key)
    }

    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        self.store.entries()
    }
}

fn persist() {
    let (mut ours, mut peers, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (alone, batches) = submits(1);
        let (many, shared) = submits(MAX_IN_FLIGHT);
        assert!(shared.len() <= batches.len());
        ours.push(alone);
        peers.push(bare(&batches));
        together.push(many);
    }
    let a_second = |times| SUBMITS as f64 / median(times).as_secs_f64();
    let (ours, peer, together) = (a_second(ours), a_second(peers), a_second(together));
    row(
        "durable submits, one by one",
        ours,
        peer,
        "submits/s",
        ours / peer,
    );
    row(
        "durable submits, 16 at once",
        together,
        peer,
        "submits/s",
        together / peer,
    );
}

/// The time until all submits are durable, with this many at once, and the batches.
fn submits(at_once: usize) -> (Duration, Vec<WriteBatch>) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(&dir.path().join("queue.db"), IfLocked::Refuse).expect("a store");
    let batches = Arc::default();
    let store = Recorded {
        store,
        batches: Arc::clone(&batches),
    };
    let server: ServerUrl = SERVER.parse().expect("an address");
    let jobs = messages(&server, SUBMITS, 10);
    let runtime = runtime();
    let took = runtime.block_on(async {
        let runner = Runner::builder().store(store).build().expect("a runner");
        runner.queues().set_online(false);
        let start = Instant::now();
        let mut jobs = jobs.into_iter();
        loop {
            let mut waiting = JoinSet::new();
            for job in jobs.by_ref().take(at_once) {
                waiting.spawn(runner.submit(job));
            }
            if waiting.is_empty() {
                break;
            }
            while let Some(stored) = waiting.join_next().await {
                stored.expect("a task").expect("it is stored");
            }
        }
        start.elapsed()
    });
    drop(runtime);
    let batches = std::mem::take(&mut *batches.lock().expect("a list"));
    (took, batches)
}

/// The same commits, with SQLite alone.
fn bare(batches: &[WriteBatch]) -> Duration {
    let dir = tempfile::tempdir().expect("a directory");
    let mut connection = Connection::open(dir.path().join("bare.db")).expect("a file");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE entries (table_name TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
             PRIMARY KEY (table_name, key)) STRICT, WITHOUT ROWID",
        )
        .expect("a table");
    let start = Instant::now();
    for batch in batches {
        let tx = connection.transaction().expect("a transaction");
        for write in batch.writes() {
            let value = write.value.as_deref().unwrap_or_default();
            tx.prepare_cached("INSERT OR REPLACE INTO entries VALUES (?1, ?2, ?3)")
                .and_then(|mut put| put.execute(params![write.table, write.key, value]))
                .expect("an entry");
        }
        tx.commit().expect("a commit");
    }
    start.elapsed()
}
