//! Proxies come from the environment. Each request runs in a child process with an environment of its
//! own.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    thread,
};

use matricula_core::ServerUrl;

use super::{
    PROXIED,
    environment::{Certificate, ask},
};
use crate::server::{Server, UnreachedServer, bytes, ok, unused_address};

/// A name that only a proxy can reach.
fn remote(scheme: &str) -> ServerUrl {
    format!("{scheme}://matrix.example.org").parse().unwrap()
}

#[test]
fn proxy_is_used_for_remote_servers_only() {
    let (server, proxy) = (Server::start([ok()]), Server::start([ok()]));
    let through = [("http_proxy", proxy.url.as_str())];
    assert_eq!(ask(&server.url, &through), "200");
    assert_eq!(server.requests().len(), 1);
    assert!(proxy.requests().is_empty());
    ask(&remote("http"), &through);
    assert_eq!(proxy.request().line, PROXIED);
}

#[test]
fn proxy_receives_its_login() {
    for scheme in ["http", "https"] {
        let certificate = Certificate::of("127.0.0.1");
        let proxy = Server::start([bytes("HTTP/1.1 407 No\r\n\r\n")]);
        let address = proxy.url.as_str().replace("//", "//alice:p%40ss@");
        let environment = [("ALL_PROXY", &*address), certificate.trusted()[0]];
        let said = ask(&remote(scheme), &environment);
        assert!(!said.contains("alice") && !said.contains("p@ss"), "{said}");
        let request = proxy.request();
        let login = request.header("proxy-authorization");
        assert_eq!(login, ["Basic YWxpY2U6cEBzcw=="], "{scheme}");
    }
}

/// Answers CONNECT, and connects to `to` whatever it was asked for.
fn tunnel(mut client: impl Read + Write, to: &ServerUrl) -> (TcpStream, Vec<u8>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let address = to.as_str().split_once("//").unwrap().1;
    let server = TcpStream::connect(address).unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    (server, head)
}

#[test]
fn encrypted_request_passes_through_tunnel() {
    let certificate = Certificate::of("matrix.example.org");
    let (server, _) = Server::start_tls(certificate.server(), [ok()]);
    let to = server.url.clone();
    let proxy = Server::raw("http", move |mut client| {
        let (mut server, head) = tunnel(&client, &to);
        assert!(head.starts_with(b"CONNECT matrix.example.org:443 HTTP/1.1\r\n"));
        let (mut from_client, mut to_server) = (client.try_clone().unwrap(), &server);
        let mut up = server.try_clone().unwrap();
        let copy = thread::spawn(move || io::copy(&mut from_client, &mut up));
        let _ = to_server.flush();
        let _ = io::copy(&mut server, &mut client);
        let _ = client.shutdown(std::net::Shutdown::Both);
        let _ = copy.join();
        false
    });
    let environment = [
        ("HTTPS_PROXY", proxy.url.as_str()),
        certificate.trusted()[0],
    ];
    assert_eq!(ask(&remote("https"), &environment), "200");
    let request = server.request();
    assert_eq!(request.line, "GET /a HTTP/1.1");
    assert_eq!(request.header("host"), ["matrix.example.org"]);
    assert_eq!(request.header("proxy-authorization"), [""; 0]);
}

#[test]
fn proxy_may_be_encrypted() {
    let certificate = Certificate::of("127.0.0.1");
    let refusal = bytes("HTTP/1.1 403 Forbidden\r\n\r\n");
    let (proxy, _) = Server::start_tls(certificate.server(), [refusal]);
    let environment = [
        ("https_proxy", proxy.url.as_str()),
        certificate.trusted()[0],
    ];
    let said = ask(&remote("https"), &environment);
    assert!(said.contains("403"), "{said}");
    let request = proxy.request();
    assert_eq!(request.line, "CONNECT matrix.example.org:443 HTTP/1.1");
}

#[test]
fn excepted_server_is_asked_directly() {
    let certificate = Certificate::of("127.0.0.1");
    let (server, _) = Server::start_tls(certificate.server(), [ok(), ok()]);
    let proxy = UnreachedServer::new();
    for exceptions in ["a.example, 127.0.0.0/8", "*"] {
        let environment = [
            ("all_proxy", proxy.url.as_str()),
            ("no_proxy", exceptions),
            certificate.trusted()[0],
        ];
        assert_eq!(ask(&server.url, &environment), "200", "{exceptions}");
    }
    proxy.assert();
}

/// A proxy that is not used need not be usable.
#[test]
fn excepted_server_needs_no_usable_proxy() {
    let certificate = Certificate::of("127.0.0.1");
    let (server, _) = Server::start_tls(certificate.server(), [ok(), ok()]);
    let port = server.url.as_str().rsplit(':').next().unwrap();
    for (variable, exceptions) in [
        ("no_proxy", "127.0.0.1".to_owned()),
        ("NO_PROXY", format!("a.example 127.0.0.1:{port}")),
    ] {
        let environment = [
            ("HTTPS_PROXY", "socks5://127.0.0.1:1"),
            (variable, &*exceptions),
            certificate.trusted()[0],
        ];
        assert_eq!(ask(&server.url, &environment), "200", "{exceptions}");
    }
}

/// An empty variable names none: the one of the other spelling counts.
#[test]
fn empty_variable_is_passed_over() {
    let proxy = Server::start([ok()]);
    let through = [
        ("HTTP_PROXY", ""),
        ("http_proxy", &*format!(" {} ", proxy.url)),
        ("NO_PROXY", ""),
        ("no_proxy", "a.example"),
    ];
    ask(&remote("http"), &through);
    assert_eq!(proxy.request().line, PROXIED);
    let certificate = Certificate::of("127.0.0.1");
    let (server, _) = Server::start_tls(certificate.server(), [ok()]);
    let proxy = UnreachedServer::new();
    let excepted = [
        ("https_proxy", proxy.url.as_str()),
        ("NO_PROXY", ""),
        ("no_proxy", "127.0.0.1"),
        certificate.trusted()[0],
    ];
    assert_eq!(ask(&server.url, &excepted), "200");
    proxy.assert();
}

#[test]
fn unreachable_proxy_is_named() {
    let certificate = Certificate::of("127.0.0.1");
    let proxy = unused_address();
    let address = proxy.as_str().replace("//", "//alice:wordpass@");
    for scheme in ["http", "https"] {
        let said = ask(
            &remote(scheme),
            &[("ALL_PROXY", &address), certificate.trusted()[0]],
        );
        let start = format!("Proxy No the proxy {proxy} of ALL_PROXY: ");
        assert!(said.starts_with(&start), "{said}");
        assert!(said.to_lowercase().contains("refused"), "{said}");
        assert!(!said.contains("wordpass"), "{said}");
    }
}

#[test]
fn refusing_proxy_is_named() {
    let certificate = Certificate::of("127.0.0.1");
    let proxy = Server::start([bytes("HTTP/1.1 403 Forbidden\r\n\r\n")]);
    let through = [
        ("https_proxy", proxy.url.as_str()),
        certificate.trusted()[0],
    ];
    let said = ask(&remote("https"), &through);
    let start = format!("Proxy No the proxy {} of https_proxy: ", proxy.url);
    assert!(said.starts_with(&start) && said.contains("403"), "{said}");
    assert_eq!(
        proxy.request().line,
        "CONNECT matrix.example.org:443 HTTP/1.1"
    );
}

#[test]
fn unusable_proxy_is_not_bypassed() {
    for proxy in [
        "socks5://127.0.0.1:1",
        "socks5h://127.0.0.1:1",
        "ftp://h:1",
        "http://[bad",
        "http://",
        "::",
    ] {
        for (scheme, name) in [
            ("https", "https_proxy"),
            ("https", "HTTPS_PROXY"),
            ("http", "http_proxy"),
            ("http", "HTTP_PROXY"),
            ("https", "all_proxy"),
            ("http", "ALL_PROXY"),
        ] {
            let said = ask(&remote(scheme), &[(name, proxy)]);
            let start = format!("InvalidRequest No the proxy in {name} is ");
            assert!(said.starts_with(&start), "{proxy}: {said}");
            assert!(!said.contains(proxy), "{said}");
        }
    }
}
