//! Who may see which event.

use matricula_rules::{
    Membership,
    history_visibility::{HistoryVisibility, Moment, may_see},
};

const VISIBILITIES: [HistoryVisibility; 4] = [
    HistoryVisibility::WorldReadable,
    HistoryVisibility::Shared,
    HistoryVisibility::Invited,
    HistoryVisibility::Joined,
];

const MEMBERSHIPS: [Option<Membership>; 6] = [
    None,
    Some(Membership::Join),
    Some(Membership::Invite),
    Some(Membership::Leave),
    Some(Membership::Ban),
    Some(Membership::Knock),
];

fn at(visibility: HistoryVisibility, membership: Option<Membership>) -> Moment {
    Moment {
        visibility,
        membership,
    }
}

#[test]
fn visibility_is_read_from_its_content() {
    for (content, expected) in [
        (
            r#"{"history_visibility":"world_readable"}"#,
            HistoryVisibility::WorldReadable,
        ),
        (
            r#"{"history_visibility":"shared"}"#,
            HistoryVisibility::Shared,
        ),
        (
            r#"{"history_visibility":"invited"}"#,
            HistoryVisibility::Invited,
        ),
        (
            r#"{"history_visibility":"joined"}"#,
            HistoryVisibility::Joined,
        ),
        (
            r#"{"history_visibility":"unknown"}"#,
            HistoryVisibility::Shared,
        ),
        (r#"{"history_visibility":1}"#, HistoryVisibility::Shared),
        ("{}", HistoryVisibility::Shared),
        ("[]", HistoryVisibility::Shared),
    ] {
        assert_eq!(
            HistoryVisibility::from_content(content),
            expected,
            "{content}"
        );
    }
}

#[test]
fn each_event_follows_visibility_and_membership() {
    for visibility in VISIBILITIES {
        for membership in MEMBERSHIPS {
            for joined_later in [false, true] {
                let moment = at(visibility, membership);
                let expected = match (visibility, membership) {
                    (HistoryVisibility::WorldReadable, _) | (_, Some(Membership::Join)) => true,
                    (HistoryVisibility::Invited, Some(Membership::Invite)) => true,
                    (HistoryVisibility::Shared, _) => joined_later,
                    _ => false,
                };
                let seen = may_see(moment, moment, joined_later);
                assert_eq!(seen, expected, "{moment:?}, joined later: {joined_later}");
            }
        }
    }
}

#[test]
fn own_memberships_are_seen_before_or_after() {
    for visibility in VISIBILITIES {
        let outside = at(visibility, Some(Membership::Leave));
        let inside = at(visibility, Some(Membership::Join));
        assert!(
            may_see(outside, inside, false),
            "one's join: {visibility:?}"
        );
        assert!(
            may_see(inside, outside, false),
            "one's leave: {visibility:?}"
        );
    }
    let invited = at(HistoryVisibility::Joined, Some(Membership::Invite));
    let left = at(HistoryVisibility::Joined, Some(Membership::Leave));
    assert!(!may_see(left, invited, true));
}

#[test]
fn visibility_changes_are_seen_before_or_after() {
    let open = at(HistoryVisibility::WorldReadable, None);
    let closed = at(HistoryVisibility::Joined, None);
    assert!(may_see(open, closed, false));
    assert!(may_see(closed, open, false));
    assert!(!may_see(closed, closed, false));
}

#[test]
fn former_members_see_nothing_later() {
    for visibility in [
        HistoryVisibility::Shared,
        HistoryVisibility::Invited,
        HistoryVisibility::Joined,
    ] {
        let moment = at(visibility, Some(Membership::Leave));
        assert!(!may_see(moment, moment, false));
    }
}

#[test]
fn memberships_are_read_from_content() {
    for membership in MEMBERSHIPS.into_iter().flatten() {
        let content = format!(r#"{{"membership":"{membership}"}}"#);
        assert_eq!(Membership::from_content(&content), Some(membership));
    }
    for content in [
        "{}",
        "[]",
        r#"{"membership":"Join"}"#,
        r#"{"membership":null}"#,
    ] {
        assert_eq!(Membership::from_content(content), None);
    }
}
