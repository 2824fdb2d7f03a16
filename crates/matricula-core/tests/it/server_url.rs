//! Parsing and classification of server URLs.

use matricula_core::ServerUrl;

fn parse(text: &str) -> Result<ServerUrl, String> {
    text.parse()
        .map_err(|error: matricula_core::ServerUrlError| error.to_string())
}

#[test]
fn urls_are_normalised() {
    for (given, normalised) in [
        ("https://matrix.org", "https://matrix.org"),
        ("HTTPS://Matrix.ORG/", "https://matrix.org"),
        ("https://matrix.org:443", "https://matrix.org"),
        ("http://localhost:80/", "http://localhost"),
        ("http://127.0.0.1:8008", "http://127.0.0.1:8008"),
        ("https://[::1]:8448/base/", "https://[::1]:8448/base"),
        (" https://matrix.org/ \n", "https://matrix.org"),
        ("\u{feff}https://matrix.org", "https://matrix.org"),
        ("\u{a0}http://10.0.0.1:8008\t", "http://10.0.0.1:8008"),
        ("https://[0:0:0::1]:08448", "https://[::1]:8448"),
        ("https://[2001:DB8::1]:0443", "https://[2001:db8::1]"),
        ("http://a_b-c.example:0080", "http://a_b-c.example"),
    ] {
        assert_eq!(parse(given).unwrap().as_str(), normalised);
    }
}

/// The names on the right are those that browsers ask for.
#[test]
fn names_in_any_script_become_ascii() {
    for (given, ascii) in [
        ("https://münchen.test", "https://xn--mnchen-3ya.test"),
        (
            "https://MÜNCHEN.Test:8448/",
            "https://xn--mnchen-3ya.test:8448",
        ),
        (
            "https://matrix.bücher.example/base",
            "https://matrix.xn--bcher-kva.example/base",
        ),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://例え.テスト", "https://xn--r8jz45g.xn--zckzah"),
        ("https://例え。テスト", "https://xn--r8jz45g.xn--zckzah"),
        ("https://пример.рф", "https://xn--e1afmkfd.xn--p1ai"),
        ("https://ΕΛΛΆΔΑ.example", "https://xn--hxakic4aa.example"),
        ("https://हिन्दी.example", "https://xn--j2bd4cyah0f.example"),
        ("https://المثال.example", "https://xn--mgbal3hcd.example"),
        ("https://한국.example", "https://xn--3e0b707e.example"),
        ("https://😀.example", "https://xn--e28h.example"),
        ("https://☃.example", "https://xn--n3h.example"),
        ("https://ｍａｔｒｉｘ．ｏｒｇ", "https://matrix.org"),
        ("https://mat\u{ad}rix.org", "https://matrix.org"),
        ("https://matrix\u{200b}.org", "https://matrix.org"),
        ("https://xn--mnchen-3ya.test", "https://xn--mnchen-3ya.test"),
    ] {
        let read = parse(given).unwrap();
        assert_eq!(read.as_str(), ascii);
        assert_eq!(parse(read.as_str()).unwrap(), read);
    }
}

#[test]
fn names_without_certain_ascii_form_are_refused() {
    let long = format!("https://{}.example", "ü".repeat(64));
    for given in [
        // Half of a composed character, and signs that stand for others.
        "https://mu\u{308}nchen.test",
        "https://matrix℀.org",
        "https://ﬁsch.example",
        "https://matrix\u{202e}gro.example",
        "https://a\u{200d}b.example",
        "https://mün chen.test",
        "https://xn--mün.test",
        "https://ｍａｔｒｉｘ／evil．org",
        "https://ｘ＠evil.org",
        "https://１２７.1",
        &long,
    ] {
        let error = parse(given).unwrap_err();
        assert!(error.contains("plain name or address"), "{given}: {error}");
    }
}

#[test]
fn invalid_urls_are_refused_with_reason() {
    for (given, reason) in [
        ("matrix.org", "does not begin with https://"),
        ("ftp://matrix.org", "must be https://"),
        ("https://", "host"),
        ("https://a b", "plain name or address"),
        ("https://matrix.org:99999", "port"),
        ("https://matrix.org:", "port"),
        ("https://matrix.org?x=1", "query"),
        ("https://matrix.org/#x", "query"),
        ("https://matrix.org\\@evil", "query"),
        ("https://127.1", "plain name or address"),
        ("https://2130706433", "plain name or address"),
        ("https://0x7f.0.0.0x1", "plain name or address"),
        ("https://%31%32%37.0.0.1", "host"),
        ("https://127.0.0.1.", "plain name or address"),
        ("https://localhost.", "plain name or address"),
        ("https://[::1%25eth0]", "host"),
        ("https://[::1]x", "host"),
        ("http://[::1]x:80", "host"),
        ("https://[::1]]:80", "host"),
        ("https://[::1]:80:80", "port"),
        ("https://[]", "host"),
        ("https://matrix.org:+80", "port"),
        ("https://[::1]:+80", "port"),
        ("https://matrix.org:80x", "port"),
        ("https://matrix(org", "plain name or address"),
        ("https://.matrix.org", "plain name or address"),
        ("https://matrix..org", "plain name or address"),
        ("https://matrix.org,evil.org", "plain name or address"),
    ] {
        let error = parse(given).unwrap_err();
        assert!(error.contains(reason), "{given}: {error}");
    }
}

#[test]
fn password_is_refused_and_not_repeated() {
    let error = parse("https://alice:hunter2@matrix.org").unwrap_err();
    assert!(
        error.contains("user name") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn loopback_is_recognised() {
    for yes in [
        "http://localhost",
        "http://a.localhost:1",
        "http://127.9.9.9",
        "http://[::1]:5",
    ] {
        assert!(parse(yes).unwrap().is_loopback(), "{yes}");
    }
    for no in [
        "http://localhost.evil.org",
        "http://10.0.0.1",
        "http://127.0.0.1.nip.io",
        "http://[::2]",
    ] {
        assert!(!parse(no).unwrap().is_loopback(), "{no}");
    }
}

#[test]
fn unspecified_address_is_this_machine() {
    for yes in [
        "http://localhost:1",
        "http://127.0.0.1",
        "http://0.0.0.0:8008",
        "http://[::]:1",
    ] {
        assert!(parse(yes).unwrap().is_this_machine(), "{yes}");
    }
    for no in [
        "http://192.168.1.1",
        "http://example.org",
        "http://localhost.example.org",
    ] {
        assert!(!parse(no).unwrap().is_this_machine(), "{no}");
    }
}

#[test]
fn origin_is_scheme_host_port() {
    let server = parse("https://matrix.org/base").unwrap();
    assert_eq!(server.origin(), "https://matrix.org");
    assert!(server.is_origin_of("https://matrix.org:443/elsewhere?x#y"));
    for other in [
        "http://matrix.org",
        "https://matrix.org:8448",
        "https://evil.org",
        "https://matrix.org@evil.org/",
        " https://matrix.org",
        "https://matrix.org ",
        "https://matrix.org ?x",
        "https://matrix.org\t#x",
        "\u{feff}https://matrix.org",
    ] {
        assert!(!server.is_origin_of(other), "{other}");
    }
    assert!(server.is_https());
}

#[test]
fn private_addresses_are_recognised() {
    for yes in [
        "https://localhost",
        "https://127.0.0.1",
        "https://10.1.2.3",
        "https://172.16.0.1",
        "https://192.168.0.1:8448",
        "https://169.254.169.254",
        "https://0.0.0.0",
        "https://[::1]",
        "https://[::]",
        "https://[fd00::1]",
        "https://[fe80::1]",
        "https://[::ffff:127.0.0.1]",
    ] {
        assert!(parse(yes).unwrap().is_private(), "{yes}");
    }
    for no in [
        "https://matrix.org",
        "https://8.8.8.8",
        "https://172.32.0.1",
        "https://[2001:db8::1]",
    ] {
        assert!(!parse(no).unwrap().is_private(), "{no}");
    }
}
