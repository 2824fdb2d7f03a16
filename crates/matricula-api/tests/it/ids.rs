//! Identifiers follow their grammar, and nothing else is one.

use matricula_api::{EventId, MxcUri, RoomAliasId, RoomId, RoomIdOrAlias, ServerName, UserId};

#[test]
fn valid_identifiers_are_accepted() {
    for text in [
        "@alice:example.org",
        "@a.b_c=d-/+1:[::1]:8448",
        "@Old_UPPER:b",
        "@:b",
    ] {
        assert!(text.parse::<UserId>().is_ok(), "{text}");
    }
    for text in [
        "!opaque:example.org",
        "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM",
    ] {
        assert!(text.parse::<RoomId>().is_ok(), "{text}");
    }
    for text in [
        "$old:example.org",
        "$Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg",
    ] {
        assert!(text.parse::<EventId>().is_ok(), "{text}");
    }
    for text in ["example.org", "example.org:8448", "1.2.3.4", "[::1]:80"] {
        assert!(text.parse::<ServerName>().is_ok(), "{text}");
    }
    for text in ["!room:b", "#alias:b"] {
        assert!(text.parse::<RoomIdOrAlias>().is_ok(), "{text}");
    }
}

#[test]
fn invalid_identifiers_are_rejected() {
    for text in [
        "",
        "alice",
        "@alice",
        "alice:b",
        "@alice:",
        "@al\0ice:b",
        "#a:b",
    ] {
        assert!(text.parse::<UserId>().is_err(), "{text}");
    }
    assert!("a:b".parse::<RoomId>().is_err());
    assert!("event".parse::<EventId>().is_err());
    assert!("-:x".parse::<ServerName>().is_err());
    assert!("@a:b".parse::<RoomIdOrAlias>().is_err());
    assert!("https://example.org/a".parse::<MxcUri>().is_err());
    let error = "alice".parse::<UserId>().unwrap_err().to_string();
    assert!(
        error.starts_with(r#""alice" is not a user id: "#),
        "{error}"
    );
    let long = "x"
        .repeat(10_000)
        .parse::<UserId>()
        .unwrap_err()
        .to_string();
    assert!(long.len() < 200, "{long}");
}

#[test]
fn identifiers_give_their_parts() {
    let user: UserId = "@alice:example.org:8448".parse().unwrap();
    assert_eq!(
        (user.localpart(), user.server_name()),
        ("alice", "example.org:8448")
    );
    let alias: RoomAliasId = "#lobby:[::1]:80".parse().unwrap();
    assert_eq!(
        (alias.localpart(), alias.server_name()),
        ("lobby", "[::1]:80")
    );
    let file: MxcUri = "mxc://example.org/SEsfnsuifSDFSSEF".parse().unwrap();
    assert_eq!(
        (file.server_name(), file.media_id()),
        ("example.org", "SEsfnsuifSDFSSEF")
    );
    let either = RoomIdOrAlias::from(alias.clone());
    assert_eq!(either.as_str(), alias.as_str());
}

#[test]
fn identifiers_serialise_as_strings() {
    let user: UserId = "@a:b".parse().unwrap();
    assert_eq!(format!("{user} {user:?}"), r#"@a:b "@a:b""#);
    assert_eq!(serde_json::to_string(&user).unwrap(), r#""@a:b""#);
    assert_eq!(serde_json::from_str::<UserId>(r#""@a:b""#).unwrap(), user);
    assert!(serde_json::from_str::<UserId>(r#""b""#).is_err());
}
