//! What real servers and clients send beyond the specification: a test for each line of
//! `src/lenience.md`.

mod events;

use std::time::Duration;

use matricula_api::{
    ApiError, Endpoint, ErrorCode, Extra,
    client::{
        definitions::SyncFilterEventFormat,
        device_management::UpdateDevice,
        filter::CreateFilter,
        keys::UploadKeys,
        list_joined_rooms::GetJoinedRooms,
        list_public_rooms::GetPublicRooms,
        login::Login,
        logout::{Logout, LogoutAll},
        message_pagination::GetRoomMessages,
        presence::GetPresence,
        profile::GetUserProfile,
        registration::Register,
        rooms::GetRoomState,
        sso_login_redirect::RedirectToSso,
        sync::{JoinedRoom, Sync},
        tags::GetRoomTags,
        third_party_lookup::GetThirdPartyProtocols,
        voip::GetTurnServer,
        whoami::WhoAmI,
    },
    events::Tag,
    server::{AnyEndpoint, IncomingRequest, ServerEndpoint},
    uia::{Stage, UiaInfo},
};
use matricula_core::{Body, Response};
use serde_json::{Value, json};

use crate::{
    apis::{all, name},
    difference::{Kind, differences},
    read, response,
    robust::fields::pointers,
    samples,
};

fn uia(body: &str) -> Box<UiaInfo> {
    match read::<Register>(401, body) {
        Err(ApiError::Uia(info)) => info,
        other => panic!("{other:?}"),
    }
}

/// Sets each optional field of a response to null. Returns their number.
fn with_null(endpoint: &AnyEndpoint) -> usize {
    let sample = &samples::of(endpoint).answer;
    let read = |body: &Value| endpoint.read(&response(200, &body.to_string()));
    let mut optional = 0;
    for pointer in pointers(sample) {
        let (mut absent, mut null) = (sample.clone(), sample.clone());
        let Some((parent, field)) = pointer.rsplit_once('/') else {
            continue;
        };
        // The keys of maps are not field names.
        let is_entry = field.starts_with(['@', '!', '$', '#'])
            || field.contains(' ')
            || field.starts_with("org.example");
        let Some(Value::Object(fields)) = absent.pointer_mut(parent).filter(|_| !is_entry) else {
            continue;
        };
        fields.remove(field);
        *null.pointer_mut(&pointer).unwrap() = Value::Null;
        if let Ok(absent) = read(&absent) {
            let null =
                read(&null).unwrap_or_else(|error| panic!("{} {pointer}: {error}", name(endpoint)));
            let kept: Value = serde_json::from_slice(&null.body).unwrap();
            // In untyped values, null has a meaning.
            let is_kept = kept.pointer(&pointer).is_some_and(Value::is_null);
            assert!(null == absent || is_kept, "{} {pointer}", name(endpoint));
            optional += 1;
        }
    }
    optional
}

#[test]
fn null_is_absence() {
    let body = r#"{"user_id": "@a:b", "device_id": null, "access_token": null}"#;
    let account = read::<Register>(200, body).unwrap();
    assert_eq!((account.device_id, account.access_token), (None, None));
    // For every field of every response.
    let optional: usize = all().map(with_null).sum();
    println!("{optional} fields of answers may be null");
    assert!(optional > 150, "{optional}");
}

#[test]
fn empty_response_is_empty_object() {
    assert!(read::<Logout>(200, "").is_ok());
    assert!(read::<LogoutAll>(204, "").is_ok());
    // Of every operation that needs no field.
    for endpoint in all() {
        let empty = endpoint.read(&response(200, "{}"));
        assert_eq!(
            endpoint.read(&response(200, "")).is_ok(),
            empty.is_ok(),
            "{}",
            name(endpoint)
        );
    }
}

#[test]
fn empty_request_is_empty_object() {
    let request = IncomingRequest::new(&Register::OPERATION, Register::OPERATION.path).unwrap();
    assert!(Register::read_request(&request.with_body(b"")).is_ok());
}

#[test]
fn any_2xx_status_is_success() {
    let device = r#"{"org.example": 1}"#;
    for status in [200, 201, 202, 204] {
        assert!(read::<UpdateDevice>(status, device).is_ok(), "{status}");
    }
}

#[test]
fn content_type_is_ignored() {
    for kind in [
        "text/plain",
        "text/html; charset=utf-8",
        "application/octet-stream",
        "",
    ] {
        let header = vec![("content-type".into(), kind.to_owned())];
        let body = Body::Bytes(br#"{"user_id": "@a:b"}"#.to_vec());
        assert!(
            WhoAmI::read(&Response::new(200, header, body)).is_ok(),
            "{kind}"
        );
    }
}

#[test]
fn unknown_fields_are_preserved() {
    for endpoint in all() {
        let mut body = samples::of(endpoint).answer.clone();
        let Value::Object(fields) = &mut body else {
            continue;
        };
        fields.insert("org.example.new".to_owned(), json!({"deep": [null, 1]}));
        let Ok(reply) = endpoint.read(&response(200, &body.to_string())) else {
            // Keys of users are never null.
            continue;
        };
        let written: Value = serde_json::from_slice(&reply.body).unwrap();
        let mut found = differences(&body, &written);
        // Required lists and maps that were missing.
        found.retain(|one| {
            let added = written.pointer(&one.at).filter(|_| one.kind == Kind::Added);
            !added.is_some_and(|added| *added == json!([]) || *added == json!({}))
        });
        assert_eq!(found, [], "{}", name(endpoint));
    }
}

#[test]
fn unknown_enum_values_are_preserved() {
    let path = CreateFilter::OPERATION.path.replace("{userId}", "@a:b");
    let request = IncomingRequest::new(&CreateFilter::OPERATION, &path).unwrap();
    let request = request.with_body(br#"{"event_format": "org.example.short"}"#);
    let filter = CreateFilter::read_request(&request).unwrap();
    let expected = SyncFilterEventFormat::Other("org.example.short".to_owned());
    assert_eq!(filter.event_format, Some(expected));
}

#[test]
fn uia_accepts_null_fields() {
    let info = uia(
        r#"{"flows": [{"stages": null}, {}], "params": null, "session": null, "completed": null, "errcode": null, "error": null}"#,
    );
    assert_eq!(info.flows.len(), 2);
    assert!(info.flows.iter().all(|flow| flow.stages.is_empty()));
    assert!(info.params.is_empty() && info.completed.is_empty());
    assert_eq!(
        (&info.session, &info.errcode, &info.error),
        (&None, &None, &None)
    );
}

#[test]
fn uia_needs_only_flows() {
    let info = uia(r#"{"flows": [{"stages": ["org.example.riddle"]}]}"#);
    assert_eq!(
        info.flows[0].stages,
        [Stage::Other("org.example.riddle".to_owned())]
    );
}

#[test]
fn uia_may_use_another_status() {
    for status in [400, 403, 404, 422] {
        let body = r#"{"flows":[{"stages":["m.login.dummy"]}],"session":"s"}"#;
        let ApiError::Uia(info) = read::<Register>(status, body).unwrap_err() else {
            panic!("no authentication");
        };
        assert_eq!(info.session.as_deref(), Some("s"));
        // Without a flow it is an error.
        let body = r#"{"flows":[],"errcode":"M_FORBIDDEN","error":"closed"}"#;
        let refused = read::<Register>(status, body).unwrap_err();
        assert!(matches!(refused, ApiError::Matrix(_)), "{refused:?}");
    }
    // A server that failed asks for nothing.
    let body = r#"{"flows":[{"stages":["m.login.dummy"]}],"errcode":"M_UNKNOWN"}"#;
    let failed = read::<Register>(500, body).unwrap_err();
    assert!(failed.is_failure(), "{failed:?}");
}

/// An error of a stage without flows, where Palpo writes its code and its words.
#[test]
fn code_of_a_stage_is_read_without_flows() {
    for flows in ["", r#""flows":null,"#, r#""flows":{},"#] {
        let body = format!(
            r#"{{{flows}"session":"s","kind":{{"errcode":"M_FORBIDDEN"}},"message":"Wrong."}}"#
        );
        for status in [400, 401, 403] {
            let ApiError::Matrix(error) = read::<Register>(status, &body).unwrap_err() else {
                panic!("{status} {body}");
            };
            assert_eq!(error.code, ErrorCode::Forbidden);
            assert_eq!(error.message, "Wrong.");
        }
    }
}

#[test]
fn failed_stage_continues_authentication() {
    let info = uia(
        r#"{"errcode": "M_UNAUTHORIZED", "error": "no", "flows": [{"stages": []}], "session": "s"}"#,
    );
    assert_eq!(info.errcode, Some(ErrorCode::Unauthorized));
    // Without flows it is one.
    let body = r#"{"errcode": "M_UNKNOWN_TOKEN", "error": "no", "soft_logout": true}"#;
    let ApiError::Matrix(error) = read::<Register>(401, body).unwrap_err() else {
        panic!("not recognised");
    };
    assert_eq!(error.extra["soft_logout"], true);
}

/// The words and the code of a refused stage, where Palpo writes them.
#[test]
fn refusal_of_a_stage_is_read() {
    let refusal = |more: &str| {
        let body = format!(r#"{{"flows":[{{"stages":["m.login.dummy"]}}],"session":"s"{more}}}"#);
        uia(&body).refusal()
    };
    let code = r#","kind":{"errcode":"M_FORBIDDEN"}"#;
    let words = r#","message":"Invalid registration token.""#;
    let said = Some("Invalid registration token.".to_owned());
    for (more, expected) in [
        (&*format!("{code}{words}"), said.clone()),
        (words, said),
        (code, Some(String::new())),
        (r#","errcode":"M_UNAUTHORIZED""#, Some(String::new())),
        (r#","error":"no","message":"other""#, Some("no".to_owned())),
        ("", None),
        (r#","errcode":null,"error":null"#, None),
        (r#","message":5,"kind":"M_FORBIDDEN""#, None),
    ] {
        assert_eq!(refusal(more), expected, "{more}");
    }
}

#[test]
fn byte_order_mark_is_skipped() {
    let mark = "\u{feff}";
    let body = format!(r#"{mark}{{"user_id":"@a:b.test"}}"#);
    read::<WhoAmI>(200, &body).unwrap();
    let body = format!(r#"{mark}{{"errcode":"M_FORBIDDEN","error":"no"}}"#);
    let Err(ApiError::Matrix(error)) = read::<WhoAmI>(403, &body) else {
        panic!("the error is not read");
    };
    assert_eq!(error.code, ErrorCode::Forbidden);
    let body = format!(r#"{mark}{{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5}}"#);
    let Err(ApiError::RateLimited { retry_after, .. }) = read::<WhoAmI>(429, &body) else {
        panic!("the rate limit is not read");
    };
    assert_eq!(retry_after, Some(Duration::from_millis(5)));
    // Bytes that are no mark are no JSON.
    read::<WhoAmI>(200, &format!("{mark}{body}")).unwrap_err();
}

#[test]
fn english_policy_accepts_underscore() {
    let policy = r#"{"version": "1", "de": {"name": "Regeln", "url": "u"}, "en_US": {"name": "Rules", "url": "v"}}"#;
    let body = format!(
        r#"{{"flows": [], "params": {{"m.login.terms": {{"policies": {{"tos": {policy}}}}}}}}}"#
    );
    assert_eq!(uia(&body).policies()[0].name, "Rules");
}

#[test]
fn rate_limit_of_proxy_is_read() {
    let header = vec![("Retry-After".into(), " 7 ".to_owned())];
    let page = Response::new(429, header, Body::Bytes(b"<html>".to_vec()));
    let retry_after = Some(Duration::from_secs(7));
    let limited = ApiError::RateLimited {
        retry_after,
        error: None,
    };
    assert_eq!(Register::read(&page).unwrap_err(), limited);
    let limited = ApiError::RateLimited {
        retry_after: None,
        error: None,
    };
    assert_eq!(read::<Register>(429, "").unwrap_err(), limited);
}

#[test]
fn rate_limit_accepts_other_status() {
    let body = r#"{"errcode": "M_LIMIT_EXCEEDED", "error": "", "retry_after_ms": 1500}"#;
    let limited = read::<Register>(403, body).unwrap_err();
    let ApiError::RateLimited { retry_after, error } = limited else {
        panic!("{limited:?}");
    };
    assert_eq!(retry_after, Some(Duration::from_millis(1500)));
    assert_eq!(error.unwrap().status, 403);
}

#[test]
fn error_needs_only_its_code() {
    for body in [
        r#"{"errcode": "ORG_EXAMPLE_ODD"}"#,
        r#"{"errcode": "ORG_EXAMPLE_ODD", "error": null}"#,
        r#"{"errcode": "ORG_EXAMPLE_ODD", "error": {"en": "odd"}}"#,
        r#"{"errcode": "ORG_EXAMPLE_ODD", "session": 5, "params": "none"}"#,
    ] {
        let ApiError::Matrix(error) = read::<Register>(400, body).unwrap_err() else {
            panic!("{body}");
        };
        assert_eq!(error.code, ErrorCode::Other("ORG_EXAMPLE_ODD".to_owned()));
        assert_eq!(error.to_string(), "ORG_EXAMPLE_ODD");
    }
}

#[test]
fn empty_error_code_shows_message() {
    let said = |body| read::<Register>(400, body).unwrap_err().to_string();
    assert_eq!(
        said(r#"{"errcode": "", "error": "the disk is full"}"#),
        "the disk is full"
    );
    assert_eq!(said(r#"{"errcode": ""}"#), "status 400");
}

#[test]
fn html_page_is_not_matrix_error() {
    for body in [
        "<html>502 Bad Gateway</html>",
        "",
        "[]",
        "null",
        "{}",
        r#"{"errcode": 5}"#,
    ] {
        let error = read::<Login>(502, body).unwrap_err();
        assert_eq!(error, ApiError::UnexpectedStatus { status: 502 }, "{body}");
    }
}

#[test]
fn invalid_event_keeps_the_response() {
    let body = r#"{"next_batch": "n", "rooms": {"join": {"!a:b": {"timeline": {"events": [
        {"type": 5}, null, {"type": "m.room.message", "sender": "nobody"}]}}}}}"#;
    assert!(read::<Sync>(200, body).is_ok());
    assert_eq!(read::<GetRoomState>(200, "[5]").unwrap().len(), 1);
}

#[test]
fn avatar_may_be_any_text() {
    let profile =
        read::<GetUserProfile>(200, r#"{"avatar_url": "", "displayname": null}"#).unwrap();
    assert_eq!(profile.avatar_url.as_deref(), Some(""));
    assert!(read::<GetUserProfile>(200, r#"{"avatar_url": "https://a/b.png"}"#).is_ok());
}

#[test]
fn historical_user_ids_are_valid() {
    for user in ["@Alice:example.org", "@a b:example.org", "@é:example.org"] {
        let body = json!({ "user_id": user }).to_string();
        let owner = read::<WhoAmI>(200, &body);
        assert!(owner.is_ok(), "{user}: {owner:?}");
    }
}

#[test]
fn protocol_icon_is_optional() {
    let body = r#"{"irc": {"user_fields": [], "location_fields": [], "field_types": {}, "instances": []}}"#;
    assert!(read::<GetThirdPartyProtocols>(200, body).is_ok());
}

#[test]
fn any_redirect_status_is_accepted() {
    for status in [301, 302, 303, 307, 308] {
        let header = vec![("LOCATION".into(), "https://a".to_owned())];
        let redirect = RedirectToSso::read(&Response::new(status, header, Body::Empty));
        assert_eq!(redirect.unwrap().location, "https://a");
    }
}

#[test]
fn last_of_repeated_fields_counts() {
    let body = r#"{"user_id": "@a:b", "user_id": "@c:b"}"#;
    assert_eq!(read::<WhoAmI>(200, body).unwrap().user_id.as_str(), "@c:b");
}

#[test]
fn key_counts_accept_unknown_algorithms() {
    let body = r#"{"one_time_key_counts": {"org.example.keys": 3}}"#;
    assert!(read::<UploadKeys>(200, body).is_ok());
}

#[test]
fn required_list_may_be_null() {
    let rooms = read::<GetJoinedRooms>(200, r#"{"joined_rooms": null}"#).unwrap();
    assert_eq!(rooms.joined_rooms, []);
    assert!(read::<GetJoinedRooms>(200, "{}").is_err());
}

#[test]
fn event_list_may_be_missing() {
    for body in [r#"{"start": "s"}"#, r#"{"start": "s", "chunk": null}"#] {
        assert_eq!(read::<GetRoomMessages>(200, body).unwrap().chunk, []);
    }
    assert_eq!(read::<GetPublicRooms>(200, "{}").unwrap().chunk, []);
    for timeline in [json!({"limited": true}), json!({"events": null})] {
        let joined = synced(&json!({ "timeline": timeline }));
        assert_eq!(joined.timeline.unwrap().events, []);
    }
}

/// The only room of a sync response.
fn synced(room: &Value) -> JoinedRoom {
    let body = json!({"next_batch": "n", "rooms": {"join": {"!a:b": room}}}).to_string();
    let rooms = read::<Sync>(200, &body).unwrap().rooms.unwrap();
    let joined = rooms.join.unwrap();
    joined.into_iter().next().unwrap().1
}

#[test]
fn public_room_may_have_empty_alias() {
    let with = |alias: &str| {
        let room = json!({"room_id": "!a:b", "num_joined_members": 1, "world_readable": true,
            "guest_can_join": false, "canonical_alias": alias});
        let body = json!({ "chunk": [room] }).to_string();
        read::<GetPublicRooms>(200, &body).unwrap().chunk.remove(0)
    };
    assert_eq!(with("#a:b").canonical_alias.unwrap().as_str(), "#a:b");
    assert_eq!(with("").canonical_alias, None);
    assert_eq!(with("").extra, Extra::new());
    assert_eq!(with("nonsense").canonical_alias, None);
    assert_eq!(with("nonsense").extra["canonical_alias"], "nonsense");
}

#[test]
fn invalid_hero_keeps_the_sync() {
    let summary = json!({"m.heroes": ["@a:b", "bob", null, "@c:b"]});
    let summary = synced(&json!({ "summary": summary })).summary.unwrap();
    let heroes = summary.heroes.as_ref().unwrap();
    let ids: Vec<&str> = heroes.iter().map(|user| user.as_str()).collect();
    assert_eq!(ids, ["@a:b", "@c:b"]);
    let written = serde_json::to_value(&summary).unwrap();
    assert_eq!(written["m.heroes"], json!(["@a:b", "bob", null, "@c:b"]));
    let summary = synced(&json!({"summary": {"m.heroes": null}})).summary;
    assert_eq!(summary.unwrap().heroes, None);
}

#[test]
fn negative_counts_keep_the_sync() {
    let room = json!({
        "summary": {"m.joined_member_count": -1, "m.invited_member_count": 2},
        "unread_notifications": {"highlight_count": 3, "notification_count": -1},
        "unread_thread_notifications": {"$1": {"highlight_count": -1}},
    });
    let joined = synced(&room);
    let summary = joined.summary.as_ref().unwrap();
    assert_eq!(summary.joined_member_count, None);
    assert_eq!(summary.invited_member_count, Some(2));
    let unread = joined.unread_notifications.as_ref().unwrap();
    assert_eq!(unread.highlight_count, Some(3));
    assert_eq!(unread.notification_count, None);
    assert_eq!(serde_json::to_value(&joined).unwrap(), room);
}

#[test]
fn negative_duration_is_absent() {
    for (number, expected) in [
        (json!(5), Some(Duration::from_millis(5))),
        (json!(-5), None),
        (json!(u64::MAX), None),
        (json!(1e300), None),
    ] {
        let body = json!({"presence": "online", "last_active_ago": number}).to_string();
        let presence = read::<GetPresence>(200, &body).unwrap();
        assert_eq!(presence.last_active_ago, expected);
        let is_stored = presence.extra.get("last_active_ago") == Some(&number);
        assert_eq!(is_stored, expected.is_none());
    }
}

#[test]
fn whole_float_is_a_number() {
    for (count, expected) in [
        ("3.0", Some(3)),
        ("3e0", Some(3)),
        ("3.5", None),
        ("-3.0", None),
    ] {
        let body = format!(
            r#"{{"next_batch":"n","rooms":{{"join":{{"!a:b":{{"summary":{{"m.joined_member_count":{count}}}}}}}}}}}"#
        );
        let rooms = read::<Sync>(200, &body).unwrap().rooms.unwrap();
        let summary = rooms.join.unwrap()["!a:b"].summary.clone().unwrap();
        assert_eq!(summary.joined_member_count, expected, "{count}");
    }
}

#[test]
fn times_may_be_digits_in_text() {
    let text = r#"{"presence": "online", "last_active_ago": " 5 "}"#;
    let presence = read::<GetPresence>(200, text).unwrap();
    assert_eq!(presence.last_active_ago, Some(Duration::from_millis(5)));
    let limited = r#"{"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": "1500"}"#;
    let ApiError::RateLimited { retry_after, .. } = read::<Register>(429, limited).unwrap_err()
    else {
        panic!("no rate limit");
    };
    assert_eq!(retry_after, Some(Duration::from_millis(1500)));
    let turn = r#"{"username": "u", "password": "p", "uris": [], "ttl": "86400"}"#;
    let turn = read::<GetTurnServer>(200, turn).unwrap();
    assert_eq!(turn.ttl, Some(Duration::from_secs(86_400)));
    // A count is not one of them.
    let count = json!({"summary": {"m.joined_member_count": "3"}});
    assert_eq!(synced(&count).summary.unwrap().joined_member_count, None);
}

#[test]
fn tag_order_may_be_string() {
    for order in [json!(0.5), json!("0.5"), json!(" 0.5 ")] {
        let body = json!({"tags": {"m.favourite": {"order": order}}}).to_string();
        let tags = read::<GetRoomTags>(200, &body).unwrap().tags.unwrap();
        assert_eq!(tags.get("m.favourite").unwrap().order, Some(0.5));
        let tag = serde_json::from_str::<Tag>(&body).unwrap();
        let tags = tag.tags.unwrap();
        assert_eq!(tags.get("m.favourite").unwrap().order, Some(0.5));
    }
    for order in ["first", "NaN", "inf", ""] {
        let body = json!({"tags": {"m.favourite": {"order": order}}}).to_string();
        let tags = read::<GetRoomTags>(200, &body).unwrap().tags.unwrap();
        assert_eq!(tags.get("m.favourite").unwrap().order, None, "{order}");
    }
}

#[test]
fn list_names_exactly_these_tests() {
    let list = include_str!("../../src/lenience.md");
    let named: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.split('`').rev().nth(1))
        .collect();
    let files = [
        include_str!("lenience.rs"),
        include_str!("lenience/events.rs"),
    ];
    let mut tests: Vec<&str> = files
        .iter()
        .flat_map(|code| code.split("#[test]\nfn ").skip(1))
        .filter_map(|rest| Some(rest.split_once("()")?.0))
        .collect();
    tests.retain(|test| *test != "list_names_exactly_these_tests");
    assert_eq!(named, tests);
}
