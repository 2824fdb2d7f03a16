//! An interrupted download is continued, if the file has not changed on the server.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use matricula_core::{Body, FileRef, Job, Method, Response, ResponseFormat};
use matricula_http::TransferProgress;
use tempfile::TempDir;

use super::{Runner, run, runner, runner_with};
use crate::{
    error, get, options, response,
    server::{Reply, Server, answer, bytes},
};

fn content() -> Vec<u8> {
    (0..200_003_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// How many bytes come before the response is interrupted.
const BEFORE: usize = 120_001;

/// The start of a complete response, with its headers.
fn interrupted(header: &str) -> Reply {
    let content = content();
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n{header}\r\n",
        content.len()
    );
    let mut answer = head.into_bytes();
    answer.extend_from_slice(&content[..BEFORE]);
    bytes(answer)
}

const TAG: &str = "etag: \"one\"\r\n";

fn rest(from: usize) -> Reply {
    let content = content();
    let range = format!(
        "content-range: bytes {from}-{}/{}",
        content.len() - 1,
        content.len()
    );
    answer(
        "206 Partial Content",
        &["etag: \"one\"", &range],
        &content[from..],
    )
}

fn whole() -> Reply {
    answer("200 OK", &["etag: \"two\""], content())
}

struct Place {
    dir: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("cat.png");
        Self { dir, path }
    }

    fn download(&self, server: &Server) -> Job {
        get(&server.url).with_response_format(ResponseFormat::File(FileRef::new(&self.path)))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn assert_whole(&self) {
        assert!(
            fs::read(&self.path).unwrap() == content(),
            "not the server's file"
        );
        assert_eq!(self.names(), ["cat.png"], "no partial file is left");
    }
}

/// One job gets both replies, and its file is complete then.
fn fetch(replies: [Reply; 2]) -> (Server, Response) {
    let place = Place::new();
    let server = Server::start(replies);
    let answer = response(run(&runner_with(options(), 2), place.download(&server)));
    place.assert_whole();
    (server, answer)
}

fn ranges(server: &Server) -> Vec<(Option<String>, Option<String>)> {
    let requests = server.requests();
    let one = |values: Vec<&str>| values.first().map(|value| (*value).to_owned());
    requests
        .iter()
        .map(|request| {
            (
                one(request.header("range")),
                one(request.header("if-range")),
            )
        })
        .collect()
}

#[test]
fn next_attempt_requests_missing_range() {
    let (server, answer) = fetch([interrupted(TAG), rest(BEFORE)]);
    assert_eq!(answer.status_code(), 200, "the file is complete");
    let asked = (Some(format!("bytes={BEFORE}-")), Some("\"one\"".to_owned()));
    assert_eq!(ranges(&server), [(None, None), asked]);
    for request in server.requests() {
        assert_eq!(request.header("accept-encoding"), ["identity"]);
    }
}

#[test]
fn changed_file_is_downloaded_again() {
    let (server, _) = fetch([interrupted(TAG), whole()]);
    assert!(ranges(&server)[1].0.is_some());
}

#[test]
fn download_without_strong_etag_restarts() {
    // No ETag, and a weak one.
    for header in ["", "etag: W/\"one\"\r\n"] {
        let (server, _) = fetch([interrupted(header), whole()]);
        assert_eq!(ranges(&server), [(None, None), (None, None)], "{header}");
    }
}

#[test]
fn unsatisfiable_range_restarts_at_once() {
    let place = Place::new();
    let range = ["content-range: bytes */5"];
    let replies = [
        interrupted(TAG),
        answer("416 Range Not Satisfiable", &range, ""),
        whole(),
    ];
    let server = Server::start(replies);
    response(run(&runner_with(options(), 2), place.download(&server)));
    place.assert_whole();
    assert_eq!(ranges(&server)[2], (None, None));
}

#[test]
fn wrong_range_is_rejected() {
    let of = |range: &str| answer("206 Partial Content", &["etag: \"one\"", range], "xyz");
    let other_tag = ["etag: \"two\"", "content-range: bytes 120001-200002/200003"];
    for wrong in [
        rest(BEFORE - 1),
        rest(BEFORE + 1),
        of("content-range: bytes 120001-200002/200003"),
        of("content-range: pages 120001-120003/200003"),
        of("content-type: text/plain"),
        // A range beyond the length, a range of unknown length, and a range without an ETag.
        of("content-range: bytes 120001-120003/120002"),
        of("content-range: bytes 120001-120003/*"),
        answer(
            "206 Partial Content",
            &["content-range: bytes 120001-200002/200003"],
            &content()[BEFORE..],
        ),
        answer("206 Partial Content", &other_tag, &content()[BEFORE..]),
    ] {
        let place = Place::new();
        let server = Server::start([interrupted(TAG), wrong, whole()]);
        response(run(&runner_with(options(), 3), place.download(&server)));
        place.assert_whole();
        assert_eq!(
            ranges(&server)[2],
            (None, None),
            "the partial file is not continued"
        );
    }
}

/// A cache may send a range in parts.
#[test]
fn partial_ranges_are_requested_in_turn() {
    let content = content();
    let part = |from: usize, to: usize| {
        let range = format!("content-range: bytes {from}-{}/{}", to - 1, content.len());
        answer(
            "206 Partial Content",
            &["etag: \"one\"", &range],
            &content[from..to],
        )
    };
    let place = Place::new();
    let server = Server::start([
        interrupted(TAG),
        part(BEFORE, BEFORE + 10),
        part(BEFORE + 10, content.len()),
    ]);
    response(run(&runner_with(options(), 3), place.download(&server)));
    place.assert_whole();
    let next = format!("bytes={}-", BEFORE + 10);
    assert_eq!(ranges(&server)[2].0.as_deref(), Some(&*next));
}

#[test]
fn range_restart_counts_no_redirect() {
    let place = Place::new();
    let mut options = options();
    options.max_redirects = 0;
    let replies = [
        interrupted(TAG),
        answer("416 Range Not Satisfiable", &[], ""),
        whole(),
    ];
    let server = Server::start(replies);
    response(run(&runner_with(options, 2), place.download(&server)));
    place.assert_whole();
}

#[test]
fn concurrent_download_is_refused() {
    let place = Place::new();
    // Another process is writing.
    let part = place.dir.path().join("cat.png.part");
    let other = fs::File::create(&part).unwrap();
    other.lock().unwrap();
    let server = Server::start([whole(), whole()]);
    let failure = error(run(&runner(), place.download(&server)));
    assert!(failure.message.contains("another download"), "{failure}");
    assert_eq!(place.names(), ["cat.png.part"], "it is left alone");
    drop(other);
    response(run(&runner(), place.download(&server)));
    place.assert_whole();
}

#[cfg(unix)]
#[test]
fn download_keeps_file_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    fs::write(&place.path, "old").unwrap();
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o600)).unwrap();
    let server = Server::start([whole()]);
    response(run(&runner(), place.download(&server)));
    place.assert_whole();
    let mode = fs::metadata(&place.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn other_process_resumes_download() {
    let place = Place::new();
    let server = Server::start([interrupted(TAG), rest(BEFORE)]);
    error(run(&runner(), place.download(&server)));
    assert_eq!(place.names(), ["cat.png.part", "cat.png.part.note"]);
    response(run(&runner(), place.download(&server)));
    place.assert_whole();
    assert!(ranges(&server)[1].0.is_some());
}

#[test]
fn partial_file_belongs_to_one_address() {
    let place = Place::new();
    let server = Server::start([interrupted(TAG), whole()]);
    error(run(&runner(), place.download(&server)));
    let other = Job::new(&server.url, "/other", Method::Get, "getContentAuthed")
        .with_response_format(ResponseFormat::File(FileRef::new(&place.path)));
    response(run(&runner(), other));
    place.assert_whole();
    assert_eq!(ranges(&server)[1], (None, None));
}

#[test]
fn oversized_download_is_discarded() {
    let place = Place::new();
    let mut options = options();
    options.max_file_size = 100_000;
    let server = Server::start([interrupted(TAG)]);
    error(run(&runner_with(options, 1), place.download(&server)));
    assert!(place.names().is_empty());
}

/// A runner, and the progress that it reports.
fn with_progress(attempts: u32) -> (Runner, Arc<Mutex<Vec<TransferProgress>>>) {
    let reports: Arc<Mutex<Vec<TransferProgress>>> = Arc::default();
    let list = Arc::clone(&reports);
    let runner = runner_with(options(), attempts)
        .to_builder()
        .progress(move |_, progress| list.lock().unwrap().push(progress))
        .build()
        .unwrap();
    (runner, reports)
}

#[test]
fn download_progress_spans_attempts() {
    let place = Place::new();
    let server = Server::start([interrupted(TAG), rest(BEFORE)]);
    let (runner, reports) = with_progress(2);
    response(run(&runner, place.download(&server)));
    let reports = reports.lock().unwrap();
    let total = content().len() as u64;
    assert!(
        reports.windows(2).all(|pair| pair[0].done < pair[1].done),
        "{reports:?}"
    );
    assert!(
        reports.iter().all(|progress| progress.total == Some(total)),
        "{reports:?}"
    );
    assert_eq!(reports.last().map(|progress| progress.done), Some(total));
}

#[test]
fn upload_progress_is_reported() {
    let dir = TempDir::new().unwrap();
    let path: &Path = &dir.path().join("cat.png");
    fs::write(path, content()).unwrap();
    let server = Server::start([crate::server::ok()]);
    let (runner, reports) = with_progress(1);
    let job = Job::new(
        &server.url,
        "/_matrix/media/v3/upload",
        Method::Post,
        "uploadContent",
    );
    response(run(&runner, job.with_body(Body::File(FileRef::new(path)))));
    let reports = reports.lock().unwrap();
    let total = content().len() as u64;
    assert!(reports.len() > 1 && reports.windows(2).all(|pair| pair[0].done < pair[1].done));
    assert_eq!(
        reports.last().map(|it| (it.done, it.total)),
        Some((total, Some(total)))
    );
}
