//! Files on disk, cleanup, memory use.

use std::{
    fs,
    io::Write,
    net::Shutdown,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use matricula_homeserver::Config;

use super::{Person, UPLOAD, at, files_in, id_of, refused, rows, start, start_in};
use crate::{
    crashes,
    http_client::{connect, read},
    text,
};

#[tokio::test(flavor = "multi_thread")]
async fn truncated_upload_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let (server, files) = start_in(directory.path(), Config::default()).await;
    let alice = Person::new(&server, "alice");
    for (framing, sent) in [
        ("Content-Length: 1000000", "x".repeat(500_000)),
        (
            "Transfer-Encoding: chunked",
            format!("{:x}\r\n{}\r\n", 9, "x".repeat(9)),
        ),
    ] {
        let mut stream = alice.begin(framing);
        stream.write_all(sent.as_bytes()).unwrap();
        let until = |count| {
            let files = files.clone();
            async move {
                while files_in(&files).len() != count {
                    tokio::task::yield_now().await;
                }
            }
        };
        let patience = Duration::from_secs(10);
        tokio::time::timeout(patience, until(1)).await.unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
        tokio::time::timeout(patience, until(0)).await.unwrap();
    }
    server.stop().await;
    assert_eq!(rows(directory.path()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_files_survive_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (server, files) = start_in(directory.path(), Config::default()).await;
    let alice = Person::new(&server, "alice");
    let (id, announced) = (alice.up(b"here"), alice.announce());
    let header = alice.header;
    server.stop().await;
    assert_eq!(files_in(&files).len(), 1);
    #[cfg(unix)]
    for (path, mode) in [(&files, 0o700), (&files_in(&files)[0], 0o600)] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            mode
        );
    }
    // Files of a process that was killed before and after the final rename.
    for name in ["unfinished.part", "unknown"] {
        fs::write(files.join(name), b"orphan").unwrap();
    }

    let (server, files) = start_in(directory.path(), Config::default()).await;
    assert_eq!(files_in(&files).len(), 1);
    let url = server.url().clone();
    let alice = Person { url, header };
    assert_eq!(alice.down(&id, &[]).body, b"here");
    let path = format!("{UPLOAD}/private.localhost/{announced}");
    assert_eq!(alice.call("PUT", &path, &[], b"late").status, 200);
    assert_eq!(alice.down(&announced, &[]).body, b"late");
    // A missing file is an error, not an empty file.
    for path in files_in(&files) {
        fs::remove_file(path).unwrap();
    }
    refused(&alice.down(&id, &[]), 500, "M_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_server_removes_its_files() {
    let server = start(Config::default()).await;
    let alice = Person::new(&server, "alice");
    // A name that no upload has.
    let mark = alice.header.as_bytes();
    alice.up(mark);
    let is_its_own = |directory: &PathBuf| {
        let files = files_in(directory);
        files
            .iter()
            .any(|it| fs::read(it).is_ok_and(|it| it == mark))
    };
    let found: Vec<_> = files_in(&std::env::temp_dir())
        .into_iter()
        .filter(|it| it.to_string_lossy().contains("matricula-media-"))
        .filter(is_its_own)
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    server.stop().await;
    let gone = async {
        while found[0].exists() {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(10);
    tokio::time::timeout(patience, gone).await.unwrap();
}

#[test]
fn killed_upload_is_cleaned_up() {
    if let Some(path) = std::env::var_os(crashes::DIRECTORY) {
        return crashes::serve(Path::new(&path));
    }
    let home = tempfile::tempdir().unwrap();
    let files = home.path().join("homeserver.db-media");
    let test = "media::storage::killed_upload_is_cleaned_up";
    let mut child = crashes::spawn(test, home.path());
    let alice = Person::at(&crashes::url_of(&mut child), "alice");
    let id = alice.up(b"here");
    let mut stream = alice.begin("Content-Length: 1000000");
    stream.write_all(&[b'x'; 500_000]).unwrap();
    let began = Instant::now();
    while files_in(&files).len() < 2 && began.elapsed() < Duration::from_secs(10) {
        thread::yield_now();
    }
    crashes::kill(child);
    assert_eq!(files_in(&files).len(), 2);
    let mut child = crashes::spawn(test, home.path());
    let url = crashes::url_of(&mut child);
    assert_eq!(files_in(&files).len(), 1);
    let header = alice.header;
    assert_eq!(Person { url, header }.down(&id, &[]).body, b"here");
    crashes::kill(child);
}

/// The peak memory of a process since the last call, in KiB.
#[cfg(target_os = "linux")]
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let peak = line.unwrap().trim().trim_end_matches(" kB");
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    peak.parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn large_file_needs_little_memory() {
    const MIB: usize = 256;

    if let Some(path) = std::env::var_os(crashes::DIRECTORY) {
        return crashes::serve(Path::new(&path));
    }
    let home = tempfile::tempdir().unwrap();
    let mut child = crashes::spawn(
        "media::storage::large_file_needs_little_memory",
        home.path(),
    );
    let alice = Person::at(&crashes::url_of(&mut child), "alice");
    alice.down(&alice.up(b"warm"), &[]);
    peak(child.id());
    let before = peak(child.id());

    let piece = vec![b'x'; 1024 * 1024];
    let mut stream = alice.begin(&format!("Content-Length: {}", MIB * piece.len()));
    for _ in 0..MIB {
        stream.write_all(&piece).unwrap();
    }
    let kept = read(stream).unwrap().json();
    let up = peak(child.id());
    let path = at(&id_of(&text(&kept, "content_uri")));
    let mut stream = connect(&alice.url).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\n\r\n",
        alice.header
    );
    stream.write_all(head.as_bytes()).unwrap();
    let read = std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    assert!(read > (MIB * piece.len()) as u64);
    let down = peak(child.id());
    crashes::kill(child);
    let grown = up.max(down).saturating_sub(before);
    assert!(
        grown < 16 * 1024,
        "{before} KiB, then {up} up and {down} down"
    );
}
