//! Sending mail through an SMTP server.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use matricula_homeserver::{Config, Mail, Server, ServerOptions};
use serde_json::json;

use crate::http_client::post;

/// An SMTP server: returns what the client sends for each mail. `refuse` is the number of
/// connections that it closes at once.
fn sink(refuse: usize) -> (String, mpsc::Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heard, all) = mpsc::channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            if number < refuse {
                continue;
            }
            if heard.send(listen(stream.unwrap())).is_err() {
                return;
            }
        }
    });
    (address, all)
}

fn listen(mut stream: TcpStream) -> Vec<String> {
    let reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    let mut in_data = false;
    stream.write_all(b"220 sink\r\n").unwrap();
    for line in reader.lines() {
        let line = line.unwrap();
        let answer = match line.as_str() {
            "." => "250 taken",
            _ if in_data => "",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            it if it.starts_with("EHLO") => "250-sink\r\n250 8BITMIME",
            _ => "250 well",
        };
        in_data = line != "." && (in_data || line == "DATA");
        if !answer.is_empty() {
            stream
                .write_all(format!("{answer}\r\n").as_bytes())
                .unwrap();
        }
        lines.push(line);
    }
    lines
}

fn ask(server: &Server) {
    let path = "/_matrix/client/v3/register/email/requestToken";
    let body = json!({ "client_secret": "s", "send_attempt": 1, "email": "alice@example.org" });
    assert_eq!(post(server.url(), path, &body).unwrap().status, 200);
}

fn heard(all: &mpsc::Receiver<Vec<String>>) -> Vec<String> {
    all.recv_timeout(Duration::from_secs(30)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_sent_complete() {
    let (address, all) = sink(0);
    let messages = Mail::new(address).from("robot@example.org");
    let server = Server::start(ServerOptions::new(Config::default().mail(messages)))
        .await
        .unwrap();
    ask(&server);
    let lines = heard(&all);
    assert_eq!(lines[1], "MAIL FROM:<robot@example.org>");
    assert_eq!(lines[2], "RCPT TO:<alice@example.org>");
    let has = |start: &str| lines.iter().any(|it| it.starts_with(start));
    for header in [
        "From: <robot@example.org>",
        "To: <alice@example.org>",
        "Subject: Confirm",
        "Date: ",
        "Content-Type: text/plain",
    ] {
        assert!(has(header), "{header}: {lines:?}");
    }
    assert!(has(&format!(
        "{}/_matricula/confirm/email?token=",
        server.url()
    )));
    assert_eq!(lines[lines.len() - 2..], [".", "QUIT"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_mail_is_retried() {
    let (address, all) = sink(1);
    let messages = Mail::new(address);
    let server = Server::start(ServerOptions::new(Config::default().mail(messages)))
        .await
        .unwrap();
    ask(&server);
    assert!(heard(&all).contains(&".".to_owned()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unsent_mail_survives_restart() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("db");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let options = |smtp: &str| {
        let config = Config::default().mail(Mail::new(smtp));
        ServerOptions::new(config).database(&database)
    };
    let server = Server::start(options(&nowhere)).await.unwrap();
    ask(&server);
    server.stop().await;
    let (address, all) = sink(0);
    let server = Server::start(options(&address)).await.unwrap();
    assert!(heard(&all).contains(&".".to_owned()));
    server.stop().await;
}
