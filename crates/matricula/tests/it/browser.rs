//! The listener that a browser is led back to: what it answers, and what it turns away.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use matricula::{
    CallbackError, CallbackServer, Error,
    api::oauth::ClientMetadata,
    auth::{Answer, AuthError, BrowserError, Prompt},
    core::Secret,
    register,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{oauth, server::Server};

const PAGE: &str = "https://account.example.org/authorize?state=right";

/// Sends these bytes to the listener; all that comes back.
async fn send(browser: &CallbackServer, request: &str) -> String {
    let uri = browser.redirect_uri();
    let host = uri
        .strip_prefix("http://")
        .unwrap()
        .trim_end_matches('/')
        .to_owned();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let request = request.replace("HERE", &host);
    // A listener that has heard enough hangs up.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

async fn get(browser: &CallbackServer, path: &str) -> String {
    send(
        browser,
        &format!("GET {path} HTTP/1.1\r\nHost: HERE\r\n\r\n"),
    )
    .await
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

async fn listening() -> (CallbackServer, matricula::PendingCallback) {
    let browser = CallbackServer::listen().await.unwrap();
    let expected = browser.expect(PAGE.into(), "right".into()).unwrap();
    (browser, expected)
}

#[tokio::test]
async fn callback_is_accepted_once() {
    let (browser, expected) = listening().await;
    let answer = get(&browser, "/?code=the-code&state=right").await;
    assert_eq!(status(&answer), "200");
    assert!(answer.contains("Your answer has arrived"), "{answer}");
    let Answer::Text(address) = expected.answer().await else {
        panic!("no answer");
    };
    let uri = browser.redirect_uri();
    assert_eq!(address.expose(), format!("{uri}?code=the-code&state=right"));
    // Loading the page again shows another page.
    let again = get(&browser, "/?code=the-code&state=right").await;
    assert!(again.contains("has had this answer before"), "{again}");
}

#[tokio::test]
async fn response_page_has_no_secrets() {
    let (browser, _expected) = listening().await;
    let answer = get(&browser, "/?code=the-code&state=right").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        !answer.contains("the-code") && !answer.contains("right"),
        "{answer}"
    );
    for line in [
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Content-Security-Policy: default-src 'none'; style-src 'nonce-",
        "frame-ancestors 'none'",
    ] {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    for part in [
        "<html lang=\"en\">",
        "<main>",
        "<h1>",
        "color-scheme",
        "viewport",
    ] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
    assert!(!body.contains("<script"), "{body}");
}

#[tokio::test]
async fn other_requests_are_rejected() {
    let (browser, expected) = listening().await;
    let host = "Host: HERE";
    for (request, wanted) in [
        (
            format!("GET /favicon.ico HTTP/1.1\r\n{host}\r\n\r\n"),
            "404",
        ),
        (
            format!("GET /?code=x&state=wrong HTTP/1.1\r\n{host}\r\n\r\n"),
            "400",
        ),
        (format!("GET /?code=x HTTP/1.1\r\n{host}\r\n\r\n"), "400"),
        (
            format!("GET /?state=right HTTP/1.1\r\n{host}\r\n\r\n"),
            "400",
        ),
        (format!("GET / HTTP/1.1\r\n{host}\r\n\r\n"), "400"),
        (
            format!("GET /x?code=x&state=right HTTP/1.1\r\n{host}\r\n\r\n"),
            "404",
        ),
        (
            format!("POST /?code=x&state=right HTTP/1.1\r\n{host}\r\n\r\n"),
            "405",
        ),
        // Another host name that resolves to this address.
        (
            "GET /?code=x&state=right HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(),
            "421",
        ),
        ("GET /?code=x&state=right HTTP/1.1\r\n\r\n".into(), "421"),
        // An image on another site.
        (
            format!(
                "GET /?code=x&state=right HTTP/1.1\r\n{host}\r\nSec-Fetch-Mode: no-cors\r\n\r\n"
            ),
            "403",
        ),
        ("\u{1}\u{2}\u{3}\r\n\r\n".into(), "400"),
        (
            format!("GET /{} HTTP/1.1\r\n{host}\r\n\r\n", "a".repeat(20_000)),
            "431",
        ),
    ] {
        let answer = send(&browser, &request).await;
        let got = status(&answer);
        // Who is hung up on with words unread may not see the answer.
        let is_cut = wanted == "431" && answer.is_empty();
        assert!(got == wanted || is_cut, "{request:.60}: {answer}");
        assert!(!answer.contains("evil"), "{answer}");
    }
    let answer = get(&browser, "/?code=the-code&state=right").await;
    assert_eq!(status(&answer), "200");
    assert!(matches!(expected.answer().await, Answer::Text(_)));
}

#[tokio::test]
async fn a_refusal_is_an_answer_too() {
    let (browser, expected) = listening().await;
    let answer = get(&browser, "/?error=access_denied&state=right").await;
    assert!(answer.contains("did not let the program in"), "{answer}");
    assert!(matches!(expected.answer().await, Answer::Text(_)));
}

#[tokio::test]
async fn late_callback_gets_a_page() {
    let browser = CallbackServer::listen().await.unwrap();
    let browser = browser.timeout(Duration::from_millis(1));
    let expected = browser.expect(PAGE.into(), "right".into()).unwrap();
    let start = expected.start().to_owned();
    assert_eq!(expected.answer().await, Answer::Unavailable);
    let answer = get(&browser, "/?code=x&state=right").await;
    assert_eq!(status(&answer), "410");
    assert!(answer.contains("stopped waiting"), "{answer}");
    let path = start.strip_prefix(browser.redirect_uri().as_str()).unwrap();
    assert_eq!(status(&get(&browser, &format!("/{path}")).await), "410");
}

#[tokio::test]
async fn opened_address_redirects_once() {
    let (browser, expected) = listening().await;
    let start = expected.start();
    assert!(
        !start.contains("right") && !start.contains("example"),
        "{start}"
    );
    let path = format!(
        "/{}",
        start.strip_prefix(browser.redirect_uri().as_str()).unwrap()
    );
    let answer = get(&browser, &path).await;
    assert_eq!(status(&answer), "303");
    assert!(
        answer.contains(&format!("Location: {PAGE}\r\n")),
        "{answer}"
    );
    assert_eq!(status(&get(&browser, &path).await), "410");
    assert_eq!(status(&get(&browser, "/open/guessed").await), "410");
}

/// What other programs and web pages of the machine can send, in any number.
#[tokio::test]
async fn other_requests_end_nothing() {
    for request in [
        "GET /favicon.ico HTTP/1.1\r\nHost: HERE\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: HERE\r\n\r\n",
        "GET /?code=x&state=wrong HTTP/1.1\r\nHost: HERE\r\n\r\n",
        "GET /?code=x&state= HTTP/1.1\r\nHost: HERE\r\n\r\n",
        "GET /open/guessed HTTP/1.1\r\nHost: HERE\r\n\r\n",
        "POST /?code=x&state=right HTTP/1.1\r\nHost: HERE\r\n\r\n",
        "GET /?code=x&state=right HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        // With the right state, but without an answer.
        "GET /?state=right HTTP/1.1\r\nHost: HERE\r\n\r\n",
        "\u{1}\r\n\r\n",
    ] {
        let (browser, expected) = listening().await;
        for _ in 0..600 {
            send(&browser, request).await;
        }
        let answer = get(&browser, "/?code=the-code&state=right").await;
        assert_eq!(status(&answer), "200", "after {request:?}");
        assert!(expected.wait().await.is_ok());
    }
}

/// They are neither waited for, nor do they take the place of the browser.
#[tokio::test]
async fn silent_connections_make_room() {
    let (browser, expected) = listening().await;
    let uri = browser.redirect_uri();
    let host = uri["http://".len()..].trim_end_matches('/').to_owned();
    let mut silent = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        }
        silent.push(stream);
    }
    let start = std::time::Instant::now();
    let answer = get(&browser, "/?code=the-code&state=right").await;
    assert_eq!(status(&answer), "200");
    assert!(expected.wait().await.is_ok());
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// The browser of an answer may hang up before it has its response.
#[tokio::test]
async fn answer_without_response_counts() {
    let (browser, expected) = listening().await;
    let uri = browser.redirect_uri();
    let host = uri["http://".len()..].trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let request = format!("GET /?code=x&state=right HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    drop(stream);
    assert!(expected.wait().await.is_ok());
}

#[tokio::test]
async fn missing_answer_has_a_reason() {
    for (ignored, words) in [
        (0, "no browser came back from the page within 0 s"),
        (1, "within 0 s; 1 request was ignored"),
        (2, "within 0 s; 2 requests were ignored"),
    ] {
        let browser = CallbackServer::listen().await.unwrap();
        let browser = browser.timeout(Duration::from_millis(500));
        let expected = browser.expect(PAGE.into(), "right".into()).unwrap();
        for _ in 0..ignored {
            get(&browser, "/?code=x&state=wrong").await;
        }
        let why = expected.wait().await.unwrap_err();
        let waited = Duration::from_millis(500);
        assert_eq!(why, CallbackError::Timeout { waited, ignored });
        assert!(why.to_string().contains(words), "{why}");
    }
    let (browser, expected) = listening().await;
    let _other = browser.expect(PAGE.into(), "right".into()).unwrap();
    assert_eq!(expected.wait().await, Err(CallbackError::Replaced));
}

#[tokio::test]
async fn only_web_pages_are_opened() {
    let opened = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&opened);
    let browser = CallbackServer::listen().await.unwrap().opener(move |url| {
        log.lock().unwrap().push(url.to_owned());
        Err(io::Error::other("no browser"))
    });
    for page in ["file:///etc/passwd", "javascript:alert(1)", "-version", ""] {
        let question = Prompt::OpenPage {
            url: page.into(),
            redirect_uri: browser.redirect_uri(),
            state: Secret::from("s"),
            why: None,
        };
        assert_eq!(
            browser.answer(&question).unwrap().await,
            Answer::Unavailable
        );
    }
    assert!(opened.lock().unwrap().is_empty());
    assert!(browser.answer(&Prompt::Username { why: None }).is_none());
}

#[tokio::test]
async fn earlier_port_is_reused_if_free() {
    let first = CallbackServer::listen().await.unwrap();
    let before = first.redirect_uri();
    let other = CallbackServer::listen_again(&before).await.unwrap();
    assert_ne!(other.redirect_uri(), before);
    drop(first);
    // The port is free once the runtime has dropped the listener.
    tokio::task::yield_now().await;
    let again = CallbackServer::listen_again(&before).await.unwrap();
    assert_eq!(again.redirect_uri(), before);
}

/// Without a browser, the account waits, and says which page.
#[tokio::test]
async fn register_signs_up_in_browser() {
    let server: Server = oauth::delegating(oauth::tokens);
    let about = ClientMetadata::new("https://app.example/");
    let error = register(server.url.as_str())
        .in_browser_with(about.clone(), |browser| {
            browser.opener(|_| Err(io::Error::other("none")))
        })
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Auth(AuthError::Browser(BrowserError::BrowserNeeded { .. }))
        ),
        "{error:?}"
    );
    let session = register(server.url.as_str())
        .in_browser_with(about, |browser| browser.opener(allow))
        .await
        .unwrap();
    assert_eq!(session.account().user_id.as_str(), "@new:example.org");
}

/// Opens the page, and comes back with a code.
fn allow(start: &str) -> io::Result<()> {
    let visit = |url: &str| -> io::Result<String> {
        use std::io::{Read, Write};
        let (host, path) = url
            .strip_prefix("http://")
            .unwrap()
            .split_once('/')
            .unwrap();
        let mut stream = std::net::TcpStream::connect(host)?;
        stream.write_all(format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = visit(start)?;
    let page = answer
        .lines()
        .find_map(|line| line.strip_prefix("Location: "))
        .unwrap();
    let state = page
        .split(['?', '&'])
        .find(|pair| pair.starts_with("state="))
        .unwrap();
    let back = start.split("open/").next().unwrap();
    visit(&format!("{back}?code=xyz&{state}")).map(|_| ())
}
