//! [Authorisation](https://spec.matrix.org/v1.19/rooms/v12/#authorization-rules): may this event enter its room?
//!
//! A server loads the state that [`required_state`] names, at most six events, and hands it to [`authorize`].
//! The events' signatures are not checked here: see [`signing`](crate::signing).

mod member;
mod selection;
mod third_party_invite;

pub use selection::{StateKey, auth_events, check_auth_events, required_state};

use crate::{
    EventView, Membership, PrevEvents, RoomVersion,
    power_levels::{
        Action, InvalidPowerLevels, MissingPower, PowerLevels, RoomPower, additional_creators,
        check_change,
    },
    raw::Object,
};

const CREATE: &str = "m.room.create";
const MEMBER: &str = "m.room.member";
const JOIN_RULES: &str = "m.room.join_rules";
const POWER_LEVELS: &str = "m.room.power_levels";
const THIRD_PARTY_INVITE: &str = "m.room.third_party_invite";

/// Authorises an event against the state of its room before it, or against its auth events. Of the state, only what
/// [`required_state`] names is read; it may be given in any order.
///
/// # Errors
/// If the event must be rejected.
pub fn authorize(
    event: &EventView<'_>,
    state: &[EventView<'_>],
    version: RoomVersion,
) -> Result<(), Denied> {
    let rules = version.rules().authorization;
    if event.kind == CREATE {
        return authorize_create(event, version);
    }
    let state = State::new(state, version)?;
    if version.rules().room_id_is_create_hash {
        check_room_id(event, &state)?;
    }
    check_federation(event, &state)?;
    if event.kind == "m.room.aliases" && rules.special_aliases {
        return authorize_aliases(event);
    }
    if event.kind == MEMBER {
        return member::authorize_member(event, &state, version);
    }
    if state.membership(event.sender) != Some(Membership::Join) {
        let user = event.sender.to_owned();
        return Err(Denied::NotInRoom { user });
    }
    let action = match event.state_key {
        Some(_) => Action::SendState(event.kind),
        None => Action::Send(event.kind),
    };
    if event.kind == THIRD_PARTY_INVITE {
        return Ok(state.power.check(event.sender, Action::Invite)?);
    }
    state.power.check(event.sender, action)?;
    let of_user = event.state_key.filter(|it| it.starts_with('@'));
    if let Some(user) = of_user.filter(|user| *user != event.sender) {
        let user = user.to_owned();
        return Err(Denied::StateOfOtherUser { user });
    }
    if event.kind == POWER_LEVELS {
        authorize_power_levels(event, &state, version)?;
    }
    if event.kind == "m.room.redaction" && rules.special_redactions {
        authorize_redaction(event, &state)?;
    }
    Ok(())
}

/// Whether a redaction of versions 3 and later, which has been authorised, is applied to an event of the same room: if
/// its sender has the power, or both senders are users of the same server. (Servers let only the sender of the event
/// redact it without the power: ask [`RoomPower::may`] with [`Action::Redact`] before a redaction is sent.)
pub fn redaction_applies(
    redaction: &EventView<'_>,
    redacted: &EventView<'_>,
    power: &RoomPower,
) -> bool {
    let by_power = power.need(redaction.sender, power.to_redact(), "").is_ok();
    by_power || server_of(redaction.sender) == server_of(redacted.sender)
}

/// The state that authorises an event.
struct State<'a> {
    events: &'a [EventView<'a>],
    create: &'a EventView<'a>,
    power: RoomPower,
}

impl<'a> State<'a> {
    fn new(events: &'a [EventView<'a>], version: RoomVersion) -> Result<Self, Denied> {
        let find = |kind| events.iter().find(|it| it.is_state(kind, ""));
        let create = find(CREATE).ok_or(Denied::NoCreateEvent)?;
        let levels = find(POWER_LEVELS).map(|it| it.content);
        Ok(Self {
            events,
            create,
            power: RoomPower::new(create, levels, version),
        })
    }

    fn get(&self, kind: &str, state_key: &str) -> Option<&'a EventView<'a>> {
        self.events.iter().find(|it| it.is_state(kind, state_key))
    }

    fn membership(&self, user: &str) -> Option<Membership> {
        Membership::from_content(self.get(MEMBER, user)?.content)
    }
}

fn authorize_create(event: &EventView<'_>, version: RoomVersion) -> Result<(), Denied> {
    let rules = version.rules();
    let malformed = |problem| Err(Denied::Malformed(problem));
    if event.prev_events != PrevEvents::None {
        return malformed("a create event must be the first event of its room");
    }
    if rules.room_id_is_create_hash {
        if event.room_id.is_some() {
            return malformed("a create event of this room version must not have a room id");
        }
    } else if event.room_id.map(server_of) != Some(server_of(event.sender)) {
        return malformed("the room id and the creator must be of the same server");
    }
    let Ok(content) = Object::parse(event.content) else {
        return malformed("the content must be an object");
    };
    if content.get("room_version").is_some() {
        let version = content.text("room_version");
        let known = version.is_some_and(|it| it.parse::<RoomVersion>().is_ok());
        if !known {
            return malformed("the room version is not known");
        }
    }
    if !rules.authorization.creator_is_sender && content.get("creator").is_none() {
        return malformed("a create event of this room version must name the creator");
    }
    let unlimited = rules.authorization.creators_have_unlimited_power;
    if unlimited && additional_creators(&content).is_none() {
        return malformed("the additional creators must be a list of user ids");
    }
    Ok(())
}

/// The room id must be the hash of the create event.
fn check_room_id(event: &EventView<'_>, state: &State<'_>) -> Result<(), Denied> {
    let hash = |id: Option<&str>, sigil: char| Some(id?.strip_prefix(sigil)?.to_owned());
    let of_event = hash(event.room_id, '!');
    if of_event.is_none() || of_event != hash(state.create.event_id, '$') {
        return Err(Denied::Malformed(
            "the room id does not belong to the create event",
        ));
    }
    Ok(())
}

/// A room can be closed to the users of other servers.
fn check_federation(event: &EventView<'_>, state: &State<'_>) -> Result<(), Denied> {
    if server_of(event.sender) == server_of(state.create.sender) {
        return Ok(());
    }
    let content = Object::parse(state.create.content).unwrap_or_default();
    if content
        .get("m.federate")
        .is_some_and(|it| it.get() == "false")
    {
        return Err(Denied::NotFederated);
    }
    Ok(())
}

fn authorize_aliases(event: &EventView<'_>) -> Result<(), Denied> {
    if event.state_key.is_some() && event.state_key == server_of(event.sender) {
        return Ok(());
    }
    Err(Denied::Malformed(
        "the state key of m.room.aliases must be the sender's server",
    ))
}

fn authorize_power_levels(
    event: &EventView<'_>,
    state: &State<'_>,
    version: RoomVersion,
) -> Result<(), Denied> {
    let rules = version.rules().authorization;
    let new = PowerLevels::parse(event.content, version)?;
    if rules.creators_have_unlimited_power {
        let creator = new.users.keys().find(|user| state.power.is_creator(user));
        if let Some(user) = creator {
            let user = user.clone();
            return Err(MissingPower::Creator { user }.into());
        }
    }
    // Power levels with another state key than "" have no effect, and so no limits of their own.
    let old = match event.state_key {
        Some("") => state.power.levels(),
        _ => None,
    };
    match old {
        Some(old) => Ok(check_change(event.sender, &state.power, old, &new, rules)?),
        None => Ok(()),
    }
}

/// Redactions of versions 1 and 2, where the servers of the two events are in their ids.
fn authorize_redaction(event: &EventView<'_>, state: &State<'_>) -> Result<(), Denied> {
    // An event that has no id yet will have one of its sender's server.
    let server = server_of(event.event_id.unwrap_or(event.sender));
    if server.is_some() && server == event.redacts.and_then(server_of) {
        return Ok(());
    }
    let needed = state.power.to_redact();
    let what = "redacting events of other servers";
    Ok(state.power.need(event.sender, needed, what)?)
}

/// The server in the id of a user, a room or an event.
fn server_of(id: &str) -> Option<&str> {
    id.split_once(':').map(|(_, server)| server)
}

/// Why an event must be rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The event itself is wrong, whatever the state of the room is.
    #[error("the event cannot be accepted: {0}")]
    Malformed(&'static str),
    /// The power levels to be set are invalid.
    #[error(transparent)]
    InvalidPowerLevels(#[from] InvalidPowerLevels),
    /// The auth events of the event are not the right ones.
    #[error("the auth events are wrong: {problem} ({kind} with the state key {state_key:?})")]
    AuthEvents {
        /// What is wrong.
        problem: &'static str,
        /// The type of the wrong auth event.
        kind: String,
        /// Its state key.
        state_key: String,
    },
    /// The state has no create event.
    #[error("the room has no create event")]
    NoCreateEvent,
    /// The room is closed to the users of other servers.
    #[error("the room is closed to users of other servers")]
    NotFederated,
    /// The user is not in the room.
    #[error("{user} is not in the room")]
    NotInRoom {
        /// The user.
        user: String,
    },
    /// The user is in the room already.
    #[error("{user} is in the room already")]
    AlreadyInRoom {
        /// The user.
        user: String,
    },
    /// The user is invited already.
    #[error("{user} is invited already")]
    AlreadyInvited {
        /// The user.
        user: String,
    },
    /// The user is banned.
    #[error("{user} is banned from the room")]
    Banned {
        /// The user.
        user: String,
    },
    /// The room takes only users who are invited.
    #[error("{user} is not invited to the room")]
    NotInvited {
        /// The user.
        user: String,
    },
    /// The room is restricted, and no member has vouched for the user.
    #[error("{user} may not join this restricted room: {problem}")]
    NotPermittedToJoin {
        /// The user.
        user: String,
        /// What is missing.
        problem: &'static str,
    },
    /// The room does not take users who knock.
    #[error("the room does not permit knocking")]
    KnockingNotPermitted,
    /// The invitation does not belong to an invitation of an email address or phone number.
    #[error("the invitation of an email address or phone number cannot be used: {0}")]
    ThirdPartyInvite(&'static str),
    /// Only the user themselves may do that.
    #[error("{user} alone may {action} with this user id")]
    ForOtherUser {
        /// What.
        action: &'static str,
        /// The user.
        user: String,
    },
    /// The state belongs to another user.
    #[error("this state belongs to {user}, who alone may change it")]
    StateOfOtherUser {
        /// The user.
        user: String,
    },
    /// The sender lacks power.
    #[error(transparent)]
    Power(#[from] MissingPower),
}
