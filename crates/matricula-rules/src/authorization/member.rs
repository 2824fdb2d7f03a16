//! Who may change which membership.

use super::{Denied, JOIN_RULES, State, third_party_invite::check_third_party_invite};
use crate::{EventView, Membership, PrevEvents, RoomVersion, power_levels::Action, raw::Object};

/// A change of membership.
struct Change<'a> {
    event: &'a EventView<'a>,
    content: Object<'a>,
    sender: &'a str,
    /// The user whose membership changes.
    target: &'a str,
    state: &'a State<'a>,
    version: RoomVersion,
}

pub(super) fn authorize_member(
    event: &EventView<'_>,
    state: &State<'_>,
    version: RoomVersion,
) -> Result<(), Denied> {
    let target = event.state_key.ok_or(Denied::Malformed(
        "a membership must have a user id as its state key",
    ))?;
    let unknown = Denied::Malformed("the membership is unknown");
    let content = Object::parse(event.content)
        .map_err(|_| Denied::Malformed("the content must be an object"))?;
    let membership = content.text("membership").and_then(|it| it.parse().ok());
    let change = Change {
        event,
        content,
        sender: event.sender,
        target,
        state,
        version,
    };
    match membership.ok_or(unknown.clone())? {
        Membership::Join => change.join(),
        Membership::Invite => change.invite(),
        Membership::Leave => change.leave(),
        Membership::Ban => change.ban(),
        Membership::Knock if version.rules().authorization.knock => change.knock(),
        Membership::Knock => Err(unknown),
    }
}

impl Change<'_> {
    fn join(&self) -> Result<(), Denied> {
        if self.is_first_join() {
            return Ok(());
        }
        if self.sender != self.target {
            return Err(self.for_other_user("join"));
        }
        let membership = self.state.membership(self.sender);
        if membership == Some(Membership::Ban) {
            return Err(self.banned());
        }
        let rules = self.version.rules().authorization;
        let is_invited = matches!(membership, Some(Membership::Invite | Membership::Join));
        match &*self.join_rule() {
            "public" => Ok(()),
            "invite" if is_invited => Ok(()),
            "knock" if rules.knock && is_invited => Ok(()),
            "restricted" if rules.restricted => self.join_restricted(is_invited),
            "knock_restricted" if rules.knock_restricted => self.join_restricted(is_invited),
            _ => Err(Denied::NotInvited {
                user: self.sender.to_owned(),
            }),
        }
    }

    /// A member who may invite must vouch for users who are not invited.
    fn join_restricted(&self, is_invited: bool) -> Result<(), Denied> {
        if is_invited {
            return Ok(());
        }
        let denied = |problem| {
            let user = self.sender.to_owned();
            Err(Denied::NotPermittedToJoin { user, problem })
        };
        let Some(voucher) = self.content.text("join_authorised_via_users_server") else {
            return denied("the user is not invited, and the event names no member who may invite");
        };
        if self.state.membership(&voucher) != Some(Membership::Join) {
            return denied("the member whom the event names is not in the room");
        }
        if !self.state.power.may(&voucher, Action::Invite) {
            return denied("the member whom the event names may not invite");
        }
        Ok(())
    }

    /// The creator joins right after the create event.
    fn is_first_join(&self) -> bool {
        let create = self.state.create;
        let follows_create = match self.event.prev_events {
            PrevEvents::One(id) => create.event_id == Some(id),
            _ => false,
        };
        follows_create && self.state.power.creator() == self.target
    }

    fn invite(&self) -> Result<(), Denied> {
        let membership = self.state.membership(self.target);
        if let Some(invite) = self.content.get("third_party_invite") {
            if membership == Some(Membership::Ban) {
                return Err(self.banned());
            }
            return check_third_party_invite(invite, self.sender, self.target, self.state);
        }
        self.sender_is_in_room()?;
        match membership {
            Some(Membership::Ban) => Err(self.banned()),
            Some(Membership::Join) => Err(Denied::AlreadyInRoom {
                user: self.target.to_owned(),
            }),
            _ => Ok(self.state.power.check(self.sender, Action::Invite)?),
        }
    }

    fn leave(&self) -> Result<(), Denied> {
        let power = &self.state.power;
        if self.sender == self.target {
            let rules = self.version.rules().authorization;
            return match self.state.membership(self.sender) {
                Some(Membership::Join | Membership::Invite) => Ok(()),
                Some(Membership::Knock) if rules.knock => Ok(()),
                Some(Membership::Ban) => Err(self.banned()),
                _ => Err(self.not_in_room()),
            };
        }
        self.sender_is_in_room()?;
        let action = match self.state.membership(self.target) {
            Some(Membership::Ban) => Action::Unban(self.target),
            _ => Action::Kick(self.target),
        };
        Ok(power.check(self.sender, action)?)
    }

    fn ban(&self) -> Result<(), Denied> {
        self.sender_is_in_room()?;
        let action = Action::Ban(self.target);
        Ok(self.state.power.check(self.sender, action)?)
    }

    fn knock(&self) -> Result<(), Denied> {
        let rules = self.version.rules().authorization;
        match &*self.join_rule() {
            "knock" => {}
            "knock_restricted" if rules.knock_restricted => {}
            _ => return Err(Denied::KnockingNotPermitted),
        }
        if self.sender != self.target {
            return Err(self.for_other_user("knock"));
        }
        let user = self.sender.to_owned();
        match self.state.membership(self.sender) {
            Some(Membership::Ban) => Err(self.banned()),
            Some(Membership::Invite) => Err(Denied::AlreadyInvited { user }),
            Some(Membership::Join) => Err(Denied::AlreadyInRoom { user }),
            _ => Ok(()),
        }
    }

    /// `invite` where the room has no rule.
    fn join_rule(&self) -> String {
        let rule = self.state.get(JOIN_RULES, "").and_then(|rules| {
            let content = Object::parse(rules.content).ok()?;
            // A rule of another type than text is a rule that is not known.
            content.get("join_rule")?;
            Some(content.text("join_rule").unwrap_or_default().into_owned())
        });
        rule.unwrap_or_else(|| "invite".to_owned())
    }

    fn sender_is_in_room(&self) -> Result<(), Denied> {
        match self.state.membership(self.sender) {
            Some(Membership::Join) => Ok(()),
            _ => Err(self.not_in_room()),
        }
    }

    fn not_in_room(&self) -> Denied {
        let user = self.sender.to_owned();
        Denied::NotInRoom { user }
    }

    fn banned(&self) -> Denied {
        let user = self.target.to_owned();
        Denied::Banned { user }
    }

    fn for_other_user(&self, action: &'static str) -> Denied {
        let user = self.target.to_owned();
        Denied::ForOtherUser { action, user }
    }
}
