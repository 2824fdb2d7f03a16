//! Uploads and downloads of files.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom},
    path::PathBuf,
};

use matricula_core::{Body, FileRef, Job, Method, Processed, ResponseFormat, TransportErrorKind};
use matricula_http::{Disk, FileStore};
use tempfile::TempDir;

use super::{builder, run, runner, runner_with};
use crate::{
    error, get, options, response,
    server::{Server, answer, bytes, ok},
};

/// Longer than one piece, and not a multiple of it.
fn content() -> Vec<u8> {
    (0..300_001_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn upload(server: &Server, file: FileRef) -> Job {
    Job::new(
        &server.url,
        "/_matrix/media/v3/upload",
        Method::Post,
        "uploadContent",
    )
    .with_body(Body::File(file))
}

/// An existing file that a download replaces.
fn old_file() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("cat.png");
    fs::write(&path, "old").unwrap();
    (dir, path)
}

fn download(server: &Server, path: &PathBuf) -> Job {
    get(&server.url).with_response_format(ResponseFormat::File(FileRef::new(path)))
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn upload_has_length_and_type() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("cat.png");
    for content in [content(), b"x".to_vec(), Vec::new()] {
        fs::write(&path, &content).unwrap();
        let server = Server::start([ok()]);
        let file = FileRef::new(&path).with_content_type("image/png");
        response(run(&runner(), upload(&server, file)));
        let request = server.request();
        assert_eq!(
            request.header("content-length"),
            [content.len().to_string()]
        );
        assert_eq!(request.header("content-type"), ["image/png"]);
        assert!(request.body == content, "{} bytes", request.body.len());
    }
}

/// Opens files after their start, so that fewer bytes come than their length.
#[derive(Debug)]
struct Shrinking(Disk);

impl FileStore for Shrinking {
    fn open(&self, file: &FileRef) -> io::Result<File> {
        let mut file = self.0.open(file)?;
        file.seek(SeekFrom::Start(100_000))?;
        Ok(file)
    }

    fn create(&self, file: &FileRef) -> io::Result<File> {
        self.0.create(file)
    }

    fn commit(&self, file: &FileRef) -> io::Result<()> {
        self.0.commit(file)
    }

    fn abort(&self, file: &FileRef) {
        self.0.abort(file);
    }
}

#[test]
fn directory_is_not_uploaded() {
    let server = Server::start([]);
    let dir = TempDir::new().unwrap();
    let error = error(run(&runner(), upload(&server, FileRef::new(dir.path()))));
    assert_eq!(error.processed, Processed::No);
    assert!(error.message.contains("directory"), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn shrunken_upload_is_reported() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("cat.png");
    fs::write(&path, content()).unwrap();
    let server = Server::start([ok()]);
    let runner = builder().files(Shrinking(Disk)).build().unwrap();
    let error = error(run(&runner, upload(&server, FileRef::new(&path))));
    assert_eq!(
        (error.kind, error.processed),
        (TransportErrorKind::ConnectionLost, Processed::Maybe)
    );
    let message = format!("{}: the file has become shorter", server.url);
    assert_eq!(error.message, message);
}

#[test]
fn download_replaces_the_file() {
    let (dir, path) = old_file();
    let server = Server::start([answer("200 OK", &["Content-Type: image/png"], content())]);
    let response = response(run(&runner_with(big(), 1), download(&server, &path)));
    assert_eq!(response.body(), &Body::File(FileRef::new(&path)));
    assert_eq!(response.header("content-type"), Some("image/png"));
    assert!(fs::read(&path).unwrap() == content());
    assert_eq!(names(&dir), ["cat.png"]);
}

fn big() -> matricula_http::HttpOptions {
    let mut options = options();
    options.max_file_size = 1 << 20;
    options
}

#[test]
fn failed_download_leaves_old_file() {
    let (dir, path) = old_file();
    let refusal = r#"{"errcode":"M_NOT_FOUND","error":"no"}"#;
    let server = Server::start([answer("404 Not Found", &[], refusal)]);
    let response = response(run(&runner(), download(&server, &path)));
    assert_eq!(response.error_code(), "M_NOT_FOUND");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(&dir), ["cat.png"]);
}

#[test]
fn truncated_download_leaves_old_file() {
    let mut small = options();
    small.max_file_size = 1_000;
    let half = bytes("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf");
    let long = answer("200 OK", &[], content());
    for (reply, kind) in [
        (half, TransportErrorKind::ConnectionLost),
        (long, TransportErrorKind::TooLarge),
    ] {
        let (dir, path) = old_file();
        let server = Server::start([reply]);
        let error = error(run(
            &runner_with(small.clone(), 1),
            download(&server, &path),
        ));
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(&dir), ["cat.png"], "no partial file is left");
    }
}

#[test]
fn unwritable_download_leaves_doubt() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("missing").join("cat.png");
    let server = Server::start([answer("200 OK", &[], "x")]);
    let error = error(run(&runner(), download(&server, &path)));
    assert_eq!(error.processed, Processed::Maybe);
    assert!(error.message.contains("cannot be written"), "{error}");
}
