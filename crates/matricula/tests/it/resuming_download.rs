//! The resuming download of `examples/`, as the program that it is, killed in the middle.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use matricula::{AccountStore, Store, auth::Account, core::WriteBatch};
use serde_json::json;

use crate::examples::example;

const LENGTH: usize = 1_000_000;
/// How much comes the first time: 40 %.
const BEFORE: usize = 400_000;

fn content() -> Vec<u8> {
    (0..LENGTH)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// The header of a request, in lower case.
fn header(stream: &TcpStream) -> Vec<String> {
    let lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    lines
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_ascii_lowercase())
        .collect()
}

/// Sends the beginning to the first who asks, and waits until they are gone; the rest to the second.
fn serve(listener: &TcpListener) {
    let content = content();
    let write = |head: &str, content: &[u8]| {
        let (mut stream, _) = listener.accept().unwrap();
        let asked = header(&stream);
        let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\netag: \"one\"\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let content_type = "content-type: image/png\r\n\r\n";
        stream.write_all(content_type.as_bytes()).unwrap();
        stream.write_all(content).unwrap();
        (stream, asked)
    };
    let (first, _) = write(
        &format!("200 OK\r\ncontent-length: {LENGTH}"),
        &content[..BEFORE],
    );
    // Nothing comes, and then the end.
    let _ = BufReader::new(first).read_line(&mut String::new());
    let (_, asked) = write(
        &format!(
            "206 -\r\ncontent-length: {}\r\ncontent-range: bytes {BEFORE}-{}/{LENGTH}",
            LENGTH - BEFORE,
            LENGTH - 1
        ),
        &content[BEFORE..],
    );
    assert!(
        asked.contains(&format!("range: bytes={BEFORE}-")),
        "{asked:?}"
    );
}

fn download(home: &Path) -> Command {
    let mut command = Command::new(example("resuming_download"));
    command
        .arg(home)
        .arg("mxc://example.org/AbCdEf")
        .arg(home.join("cat.png"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn killed_example_resumes_its_download() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let serves = thread::spawn(move || serve(&listener));
    let home = tempfile::tempdir().unwrap();
    let account: Account = serde_json::from_value(json!({
        "user_id": "@alice:example.org",
        "server": server,
        "device_id": "LAPTOP",
        "access_token": "token",
    }))
    .unwrap();
    let mut patch = WriteBatch::default();
    account.write_to(&mut patch);
    AccountStore::new(home.path()).commit(&patch).unwrap();

    let part = home.path().join("cat.png.part");
    let mut child = download(home.path()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    // Progress is reported before the piece is written.
    assert!(told.any(|line| line.unwrap() == "40 %"));
    while fs::metadata(&part).unwrap().len() < BEFORE as u64 {
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let output = download(home.path()).output().unwrap();
    let (said, told) = (output.stdout, String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{told}");
    serves.join().unwrap();
    let first: u64 = told.split(' ').next().unwrap().parse().unwrap();
    assert!(first >= 40, "{told}");
    assert!(told.ends_with("100 %\n"), "{told}");
    assert!(
        String::from_utf8(said)
            .unwrap()
            .ends_with("cat.png, image/png\n")
    );
    assert!(fs::read(home.path().join("cat.png")).unwrap() == content());
    assert!(!part.exists());
}
