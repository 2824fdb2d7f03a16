//! Parsing of server addresses.

use matricula_auth::ServerAddress;

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
