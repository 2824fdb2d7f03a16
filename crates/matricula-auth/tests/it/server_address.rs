//! Parsing of server addresses.

use matricula_auth::{ServerAddress, is_same_server, normal_user, split_username};

fn parse(text: &str) -> Result<ServerAddress, String> {
    text.parse()
        .map_err(|error: matricula_auth::ServerAddressError| error.to_string())
}

#[test]
fn names_and_urls_are_distinguished() {
    for (text, expected) in [
        ("example.org", "Name(ServerUrl(https://example.org))"),
        ("@alice:example.org", "Name(ServerUrl(https://example.org))"),
        (" Example.ORG ", "Name(ServerUrl(https://example.org))"),
        (
            "example.org:8448",
            "Url(ServerUrl(https://example.org:8448))",
        ),
        (
            "https://matrix.example.org/",
            "Url(ServerUrl(https://matrix.example.org))",
        ),
        ("localhost:8008", "Url(ServerUrl(http://localhost:8008))"),
        ("127.0.0.1:8008", "Url(ServerUrl(http://127.0.0.1:8008))"),
        (
            "http://127.0.0.1:8008",
            "Url(ServerUrl(http://127.0.0.1:8008))",
        ),
        ("[::1]:8008", "Url(ServerUrl(http://[::1]:8008))"),
        ("@a:localhost:8008", "Url(ServerUrl(http://localhost:8008))"),
        (
            "münchen.test",
            "Name(ServerUrl(https://xn--mnchen-3ya.test))",
        ),
        (
            "@alice:MÜNCHEN.test",
            "Name(ServerUrl(https://xn--mnchen-3ya.test))",
        ),
        (
            "münchen.test:8448",
            "Url(ServerUrl(https://xn--mnchen-3ya.test:8448))",
        ),
        (
            "\t https://bücher.example/\n",
            "Url(ServerUrl(https://xn--bcher-kva.example))",
        ),
        (
            "例え。テスト",
            "Name(ServerUrl(https://xn--r8jz45g.xn--zckzah))",
        ),
        (
            "пример.рф",
            "Name(ServerUrl(https://xn--e1afmkfd.xn--p1ai))",
        ),
    ] {
        assert_eq!(format!("{:?}", parse(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn invalid_address_is_refused_with_advice() {
    for text in [
        "",
        "@alice",
        "a b",
        "example.org/path",
        "@alice:",
        "ex_ample..?",
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains("example.org"), "{text}: {error}");
    }
}

#[test]
fn remote_plain_http_is_refused() {
    let error = parse("http://matrix.example.org").unwrap_err();
    assert!(
        error.contains("not encrypted") && error.contains("https://"),
        "{error}"
    );
    assert!(parse("http://192.168.1.5:8008").is_err());
}

#[test]
fn remote_plain_http_can_be_allowed() {
    for url in ["http://matrix.example.org", "http://192.168.1.5:8008"] {
        let address = ServerAddress::with_plain_http(url).unwrap();
        assert_eq!(address.url().as_str(), url);
    }
    // A name still stands for an encrypted address, and a wrong one is still wrong.
    let address = ServerAddress::with_plain_http("example.org").unwrap();
    assert_eq!(address.url().as_str(), "https://example.org");
    assert!(ServerAddress::with_plain_http("ftp://example.org").is_err());
}

#[test]
fn address_is_displayed_as_typed() {
    assert_eq!(
        parse("@alice:Example.org").unwrap().to_string(),
        "example.org"
    );
    assert_eq!(
        parse("localhost:8008").unwrap().to_string(),
        "http://localhost:8008"
    );
}

#[test]
fn usernames_are_read_as_typed() {
    for (typed, name, server) in [
        ("alice", "alice", None),
        (" alice ", "alice", None),
        ("@alice", "alice", None),
        ("@alice:example.org", "alice", Some("example.org")),
        ("\talice\n", "alice", None),
        ("@a:localhost:8008", "a", Some("localhost:8008")),
        ("@a:[::1]:8008", "a", Some("[::1]:8008")),
        ("Alice", "Alice", None),
        ("alice:example.org", "alice:example.org", None),
        ("", "", None),
        ("@", "", None),
    ] {
        assert_eq!(split_username(typed), (name, server), "{typed:?}");
    }
}

#[test]
fn users_are_named_in_ascii() {
    for (typed, user) in [
        (" alice ", "alice"),
        ("@alice", "alice"),
        ("@alice:example.org", "@alice:example.org"),
        ("@alice:münchen.test", "@alice:xn--mnchen-3ya.test"),
        (
            "@alice:MÜNCHEN.test:8448",
            "@alice:xn--mnchen-3ya.test:8448",
        ),
        ("@alice:?", "@alice:?"),
    ] {
        assert_eq!(normal_user(typed), user, "{typed:?}");
    }
}

#[test]
fn one_server_is_written_in_several_ways() {
    for (name, other) in [
        ("example.org", "EXAMPLE.org"),
        ("münchen.test", "xn--mnchen-3ya.test"),
        ("EXAMPLE.org:8448", "example.org:8448"),
    ] {
        assert!(is_same_server(name, other), "{name} {other}");
    }
    for (name, other) in [
        ("example.org", "example.com"),
        ("example.org", "example.org:8448"),
        ("example.org", "matrix.example.org"),
        ("", "example.org"),
        ("?", "!"),
    ] {
        assert!(!is_same_server(name, other), "{name} {other}");
    }
}
