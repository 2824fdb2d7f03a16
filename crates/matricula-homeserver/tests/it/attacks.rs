//! Attacks on a server in a process of its own: its memory stays small, and others are served.
#![cfg(target_os = "linux")]
// The figures are read with `--nocapture`.
#![allow(clippy::print_stdout)]

use std::{
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Child,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use matricula_core::ServerUrl;

use crate::{
    REGISTER,
    crashes::{DIRECTORY, kill, serve, spawn, url_of},
    http_client::{connect, send},
    server_limits::Member,
    text,
};

/// What the server's process may have in memory at most.
const MAX_MEMORY: u64 = 64 * 1024 * 1024;
/// How long others wait at most for a small response, in a build without optimisation on a busy machine.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// One attack at a time: they are measured.
static RUNNING: Mutex<()> = Mutex::new(());

struct Target {
    child: Option<Child>,
    url: ServerUrl,
    alice: Member,
    _directory: tempfile::TempDir,
    _running: MutexGuard<'static, ()>,
}

impl Target {
    /// Starts a server; none in its process, which has served until its end.
    fn start(test: &str) -> Option<Self> {
        if let Some(path) = env::var_os(DIRECTORY) {
            serve(Path::new(&path));
            return None;
        }
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::tempdir().unwrap();
        let mut child = spawn(&format!("attacks::{test}"), directory.path());
        let url = url_of(&mut child);
        Some(Self {
            alice: Member::new(&url),
            child: Some(child),
            url,
            _directory: directory,
            _running: running,
        })
    }

    /// Opens connections and sends this on each.
    fn open(&self, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
        let open = |_| {
            let mut stream = connect(&self.url).unwrap();
            // A refused connection ends at once.
            let _ = stream.write_all(bytes);
            stream
        };
        (0..count).map(open).collect()
    }

    /// The largest size that the process has had, in bytes.
    fn memory(&self) -> u64 {
        let id = self.child.as_ref().unwrap().id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// Checks the server while the attack lasts, and ends it.
    fn check(&self, attack: &str) {
        let slowest = (0..20).map(|_| self.alice.whoami()).max().unwrap();
        let memory = self.memory();
        let mebibytes = memory / 1024 / 1024;
        println!("{attack}: {mebibytes} MiB, whoami took {slowest:?} at most");
        assert!(memory <= MAX_MEMORY, "{attack}: {mebibytes} MiB");
        assert!(slowest <= MAX_WAIT, "{attack}: {slowest:?}");
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            kill(child);
        }
    }
}

#[test]
fn half_open_connections() {
    let Some(target) = Target::start("half_open_connections") else {
        return;
    };
    let mut head = b"GET / HTTP/1.1\r\nX: ".to_vec();
    head.resize(31 * 1024, b'x');
    let _open = target.open(450, &head);
    target.check("half-open connections with 31 KiB of a head");
}

#[test]
fn silent_connections() {
    let Some(target) = Target::start("silent_connections") else {
        return;
    };
    let _open = target.open(450, b"");
    target.check("silent connections");
}

#[test]
fn http2_streams() {
    let Some(target) = Target::start("http2_streams") else {
        return;
    };
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // HEADERS frames of 50 streams, with what a client sends first.
    for stream in 0..50_u8 {
        preface.extend([0, 0, 1, 1, 5, 0, 0, 0, 2 * stream + 1, 0x82]);
    }
    let _open = target.open(300, &preface);
    target.check("HTTP/2 with 50 streams");
}

#[test]
fn unread_small_responses() {
    let Some(target) = Target::start("unread_small_responses") else {
        return;
    };
    let request = "GET /_matrix/client/versions HTTP/1.1\r\nHost: x\r\n\r\n";
    let requests = request.repeat(5_000);
    let open = (0..300).map(|_| {
        let mut stream = connect(&target.url).unwrap();
        stream.set_nonblocking(true).unwrap();
        // As much as the server takes.
        let _ = stream.write(requests.as_bytes());
        stream
    });
    let _open: Vec<_> = open.collect();
    target.check("pipelined requests with unread responses");
}

#[test]
fn unread_large_responses() {
    let Some(target) = Target::start("unread_large_responses") else {
        return;
    };
    let alice = &target.alice;
    alice.fill_room(60);
    let _open = target.open(30, alice.head(&alice.page()).as_bytes());
    target.check("30 unread pages of messages");
}

#[test]
fn slow_bodies() {
    let Some(target) = Target::start("slow_bodies") else {
        return;
    };
    let head = |size: usize| {
        format!("POST {REGISTER} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n")
    };
    let mut small = head(16 * 1024).into_bytes();
    small.resize(small.len() + 16 * 1024 - 1, b' ');
    let mut large = head(1024 * 1024).into_bytes();
    large.resize(large.len() + 1024 * 1024 - 1, b' ');
    let _small = target.open(300, &small);
    let _large = target.open(40, &large);
    target.check("slow bodies of 16 KiB and of 1 MiB");
}

#[test]
fn unread_downloads() {
    let Some(target) = Target::start("unread_downloads") else {
        return;
    };
    let alice = &target.alice;
    let file = vec![b'x'; 4 * 1024 * 1024];
    let uploaded = alice.call("POST", "/_matrix/media/v3/upload", &file).json();
    let uri = text(&uploaded, "content_uri");
    let name = uri.strip_prefix("mxc://").unwrap();
    let head = alice.head(&format!("/_matrix/client/v1/media/download/{name}"));
    let _open = target.open(350, head.as_bytes());
    target.check("350 unread downloads");
}

#[test]
fn large_json() {
    let Some(target) = Target::start("large_json") else {
        return;
    };
    let many = |unit: &str| unit.repeat(1_000_000 / unit.len());
    for list in [
        many("[],"),
        many("0,"),
        many("{},"),
        many("\"\","),
        many("["),
    ] {
        let list = list.trim_end_matches(',');
        for body in [
            format!("{{\"a\":[{list}]}}"),
            format!("{{\"auth\":[{list}]}}"),
        ] {
            send(&target.url, "POST", REGISTER, &[], body.as_bytes()).unwrap();
        }
    }
    let names: String = (0..90_000)
        .map(|number| format!("\"{number}\":0,"))
        .collect();
    let names = names.trim_end_matches(',');
    let body = format!("{{{names}}}");
    send(&target.url, "POST", REGISTER, &[], body.as_bytes()).unwrap();
    target.check("bodies with very many values");
}

#[test]
fn many_new_sessions() {
    let Some(target) = Target::start("many_new_sessions") else {
        return;
    };
    let mut stream = connect(&target.url).unwrap();
    let begun = Instant::now();
    let request = format!("POST {REGISTER} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}");
    let mut answer = [0; 4096];
    for _ in 0..5_100 {
        stream.write_all(request.as_bytes()).unwrap();
        // A response has one packet.
        assert!(stream.read(&mut answer).unwrap() > 0);
    }
    println!("5,100 new sessions took {:?}", begun.elapsed());
    target.check("5,100 new sessions");
}
