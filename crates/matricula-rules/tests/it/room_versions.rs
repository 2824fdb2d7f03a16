//! The room versions and their flags.

use matricula_rules::{EventIdFormat, RoomVersion};

#[test]
fn versions_are_read_and_written() {
    for version in RoomVersion::ALL {
        assert_eq!(version.as_str().parse(), Ok(version));
        assert_eq!(version.to_string(), version.as_str());
    }
    for unknown in ["", "0", "13", "01", " 1", "org.matrix.msc3757.11"] {
        let error = unknown.parse::<RoomVersion>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the room version {unknown:?} is not known; known are 1 to 12")
        );
    }
}

#[test]
fn default_version_is_twelve() {
    assert_eq!(RoomVersion::default(), RoomVersion::V12);
}

/// The versions in which a flag is set.
fn versions(flag: impl Fn(RoomVersion) -> bool) -> Vec<&'static str> {
    let versions = RoomVersion::ALL.into_iter().filter(|it| flag(*it));
    versions.map(RoomVersion::as_str).collect()
}

fn since(first: usize) -> Vec<&'static str> {
    RoomVersion::ALL[first - 1..]
        .iter()
        .map(|it| it.as_str())
        .collect()
}

fn until(last: usize) -> Vec<&'static str> {
    RoomVersion::ALL[..last]
        .iter()
        .map(|it| it.as_str())
        .collect()
}

#[test]
fn flags_change_at_their_versions() {
    let format = |format| versions(|it| it.rules().event_id_format == format);
    assert_eq!(format(EventIdFormat::Chosen), until(2));
    assert_eq!(format(EventIdFormat::Hash), ["3"]);
    assert_eq!(format(EventIdFormat::UrlSafeHash), since(4));
    assert_eq!(versions(|it| it.rules().strict_canonical_json), since(6));
    assert_eq!(versions(|it| it.rules().room_id_is_create_hash), since(12));

    let authorization = |flag: fn(&matricula_rules::AuthorizationRules) -> bool| {
        versions(|it| flag(&it.rules().authorization))
    };
    assert_eq!(authorization(|it| it.special_aliases), until(5));
    assert_eq!(authorization(|it| it.special_redactions), until(2));
    assert_eq!(authorization(|it| it.limits_notification_levels), since(6));
    assert_eq!(authorization(|it| it.knock), since(7));
    assert_eq!(authorization(|it| it.restricted), since(8));
    assert_eq!(authorization(|it| it.knock_restricted), since(10));
    assert_eq!(authorization(|it| it.integer_power_levels), since(10));
    assert_eq!(authorization(|it| it.creator_is_sender), since(11));
    assert_eq!(
        authorization(|it| it.creators_have_unlimited_power),
        since(12)
    );
    assert_eq!(authorization(|it| it.create_is_auth_event), until(11));

    let redaction = |flag: fn(&matricula_rules::RedactionRules) -> bool| {
        versions(|it| flag(&it.rules().redaction))
    };
    assert_eq!(redaction(|it| it.keeps_aliases), until(5));
    assert_eq!(redaction(|it| it.keeps_join_rule_allow), since(8));
    assert_eq!(redaction(|it| it.keeps_join_authorised_via), since(9));
    assert_eq!(
        redaction(|it| it.keeps_origin_membership_prev_state),
        until(10)
    );
    assert_eq!(redaction(|it| it.redacts_in_content), since(11));
}
