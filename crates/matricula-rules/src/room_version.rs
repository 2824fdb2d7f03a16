//! The room versions, and what each of them does differently.

use std::{fmt, str::FromStr};

/// A [room version](https://spec.matrix.org/v1.19/rooms/): which rules the events of a room follow.
///
/// ```
/// use matricula_rules::RoomVersion;
///
/// let version: RoomVersion = "11".parse()?;
/// assert!(!version.rules().room_id_is_create_hash);
/// assert_eq!(RoomVersion::default().as_str(), "12");
/// assert!("org.example.custom".parse::<RoomVersion>().is_err());
/// # Ok::<(), matricula_rules::UnknownRoomVersion>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RoomVersion {
    /// Version 1: servers choose the ids of events. It is also meant where no version is given.
    V1,
    /// Version 2: another state resolution.
    V2,
    /// Version 3: event ids are hashes, and redactions are not authorised on receipt.
    V3,
    /// Version 4: the hash in an event id is URL-safe.
    V4,
    /// Version 5: servers enforce how long signing keys are valid.
    V5,
    /// Version 6: strict canonical JSON; aliases are ordinary state.
    V6,
    /// Version 7: knocking.
    V7,
    /// Version 8: restricted rooms.
    V8,
    /// Version 9: redacted joins of restricted rooms stay valid.
    V9,
    /// Version 10: power levels are integers; rooms that are restricted and allow knocking.
    V10,
    /// Version 11: other redaction rules; the creator is the sender of the create event.
    V11,
    /// Version 12: creators have unlimited power, and the room id is the hash of the create event.
    #[default]
    V12,
}

impl RoomVersion {
    /// Every room version, the oldest first.
    pub const ALL: [Self; 12] = [
        Self::V1,
        Self::V2,
        Self::V3,
        Self::V4,
        Self::V5,
        Self::V6,
        Self::V7,
        Self::V8,
        Self::V9,
        Self::V10,
        Self::V11,
        Self::V12,
    ];

    /// The version as it stands in `m.room.create`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2 => "2",
            Self::V3 => "3",
            Self::V4 => "4",
            Self::V5 => "5",
            Self::V6 => "6",
            Self::V7 => "7",
            Self::V8 => "8",
            Self::V9 => "9",
            Self::V10 => "10",
            Self::V11 => "11",
            Self::V12 => "12",
        }
    }

    /// What this version does.
    pub fn rules(self) -> RoomVersionRules {
        let since = |version| self >= version;
        RoomVersionRules {
            event_id_format: match self {
                Self::V1 | Self::V2 => EventIdFormat::Chosen,
                Self::V3 => EventIdFormat::Hash,
                _ => EventIdFormat::UrlSafeHash,
            },
            room_id_is_create_hash: since(Self::V12),
            strict_canonical_json: since(Self::V6),
            redaction: RedactionRules {
                keeps_aliases: !since(Self::V6),
                keeps_join_rule_allow: since(Self::V8),
                keeps_join_authorised_via: since(Self::V9),
                keeps_origin_membership_prev_state: !since(Self::V11),
                keeps_all_of_create: since(Self::V11),
                keeps_redacts: since(Self::V11),
                keeps_invite_level: since(Self::V11),
                keeps_signed_third_party_invite: since(Self::V11),
                redacts_in_content: since(Self::V11),
            },
            authorization: AuthorizationRules {
                special_aliases: !since(Self::V6),
                special_redactions: !since(Self::V3),
                limits_notification_levels: since(Self::V6),
                knock: since(Self::V7),
                restricted: since(Self::V8),
                knock_restricted: since(Self::V10),
                integer_power_levels: since(Self::V10),
                creator_is_sender: since(Self::V11),
                creators_have_unlimited_power: since(Self::V12),
                create_is_auth_event: !since(Self::V12),
            },
        }
    }
}

impl fmt::Display for RoomVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RoomVersion {
    type Err = UnknownRoomVersion;

    fn from_str(text: &str) -> Result<Self, UnknownRoomVersion> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == text);
        found.ok_or_else(|| UnknownRoomVersion(text.to_owned()))
    }
}

/// A room version that this crate does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the room version {0:?} is not known; known are 1 to 12")]
pub struct UnknownRoomVersion(pub String);

/// What a room version does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomVersionRules {
    /// Where the ids of events come from.
    pub event_id_format: EventIdFormat,
    /// The room id is the hash of the create event, which has no `room_id` itself (12).
    pub room_id_is_create_hash: bool,
    /// Events with numbers that are not integers within ±(2^53−1) are refused (since 6).
    pub strict_canonical_json: bool,
    /// What a redaction leaves.
    pub redaction: RedactionRules,
    /// Who may send what.
    pub authorization: AuthorizationRules,
}

/// Where the ids of events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventIdFormat {
    /// The server of the sender chooses them: `$opaque:example.org` (1 and 2).
    Chosen,
    /// The reference hash in Base64 (3).
    Hash,
    /// The reference hash in URL-safe Base64 (since 4).
    UrlSafeHash,
}

/// What a redaction leaves of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedactionRules {
    /// `aliases` of `m.room.aliases` stays (until 5).
    pub keeps_aliases: bool,
    /// `allow` of `m.room.join_rules` stays (since 8).
    pub keeps_join_rule_allow: bool,
    /// `join_authorised_via_users_server` of `m.room.member` stays (since 9).
    pub keeps_join_authorised_via: bool,
    /// `origin`, `membership` and `prev_state` outside the content stay (until 10).
    pub keeps_origin_membership_prev_state: bool,
    /// The whole content of `m.room.create` stays (since 11), instead of `creator` alone.
    pub keeps_all_of_create: bool,
    /// `redacts` in the content of `m.room.redaction` stays (since 11).
    pub keeps_redacts: bool,
    /// `invite` of `m.room.power_levels` stays (since 11).
    pub keeps_invite_level: bool,
    /// `third_party_invite.signed` of `m.room.member` stays (since 11).
    pub keeps_signed_third_party_invite: bool,
    /// A redaction names its event in its content (since 11), instead of beside it.
    pub redacts_in_content: bool,
}

/// Who may send what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizationRules {
    /// `m.room.aliases` has a rule of its own (until 5).
    pub special_aliases: bool,
    /// `m.room.redaction` has a rule of its own (1 and 2); later versions check when a redaction is applied.
    pub special_redactions: bool,
    /// Changes of `notifications` in the power levels are limited by the sender's own level (since 6).
    pub limits_notification_levels: bool,
    /// The membership and the join rule `knock` exist (since 7).
    pub knock: bool,
    /// The join rule `restricted` exists (since 8).
    pub restricted: bool,
    /// The join rule `knock_restricted` exists (since 10).
    pub knock_restricted: bool,
    /// Power levels are integers (since 10); before, digits in a text count too.
    pub integer_power_levels: bool,
    /// The creator is the sender of `m.room.create` (since 11), instead of `creator` in its content.
    pub creator_is_sender: bool,
    /// The creators stand above every power level (12).
    pub creators_have_unlimited_power: bool,
    /// The create event is one of the `auth_events` (until 11); in version 12 the room id names it.
    pub create_is_auth_event: bool,
}
