//! The push rules of a user: the predefined ones, as the user changed them, and the user's own.

use matricula_api::{
    ErrorCode, LenientList, UserId,
    client::definitions::PushRuleKind,
    common::{PushRule, PushRuleset},
};

use crate::engine::{
    auth::requester::Requester,
    context::RequestContext,
    error::{ApiError, HandlerError},
    storage::push_rules,
};
use matricula_rules::push::default_ruleset;

/// The id of the rule that comes before all others.
const MASTER: &str = ".m.rule.master";
/// The maximum number of rules that a user adds or changes.
const MAX_RULES: usize = 1_000;
/// The size of what a user adds or changes, in bytes of JSON. The time to evaluate rules grows with the
/// length of their patterns.
const MAX_BYTES: usize = 32 * 1024;

/// Where a rule is put among the user's own rules of its kind.
pub(super) enum Place<'a> {
    /// Where it was; a new one comes first.
    Unchanged,
    Before(&'a str),
    After(&'a str),
}

/// The rules of a user, by kind and in their order.
pub(super) struct Ruleset {
    pub(super) rules: PushRuleset,
    defaults: PushRuleset,
}

impl Ruleset {
    /// Reads the rules of a user.
    pub(super) fn load(
        context: &RequestContext<'_>,
        requester: &Requester,
    ) -> Result<Self, HandlerError> {
        let user_id = requester.user_id(context.config)?;
        let changes = push_rules::find(context.tx, requester.user)?;
        Self::new(&user_id, changes.as_ref().map(|it| it.0.as_str()))
    }

    /// The predefined rules with the changes of a user, as they are stored.
    pub(super) fn new(user_id: &UserId, changes: Option<&str>) -> Result<Self, HandlerError> {
        let defaults = default_ruleset(user_id.as_str());
        let defaults: PushRuleset = serde_json::from_value(defaults)?;
        let mut rules = defaults.clone();
        if let Some(changes) = changes {
            let changes: PushRuleset = serde_json::from_str(changes)?;
            let pairs = lists(&mut rules).into_iter().zip(into_lists(changes));
            for (list, changes) in pairs {
                merge(list, changes);
            }
        }
        Ok(Self { rules, defaults })
    }

    /// Stores the rules, and ends the syncs of the user that wait.
    pub(super) fn save(
        mut self,
        context: &RequestContext<'_>,
        requester: &Requester,
    ) -> Result<(), HandlerError> {
        let mut count = 0;
        let defaults = into_lists(self.defaults);
        for (list, defaults) in lists(&mut self.rules).into_iter().zip(defaults) {
            list.retain(|rule| !defaults.contains(rule));
            count += list.len();
        }
        let changes = serde_json::to_string(&self.rules)?;
        if count > MAX_RULES || changes.len() > MAX_BYTES {
            let error =
                format!("a user adds at most {MAX_RULES} push rules, of {MAX_BYTES} bytes in all");
            return Err(ApiError::new(413, ErrorCode::TooLarge, error).into());
        }
        let user_id = requester.user_id(context.config)?;
        push_rules::set(context.tx, requester.user, user_id.as_str(), &changes)?;
        context.changes.add_for_user(user_id.as_str());
        Ok(())
    }

    /// The rule with this id.
    pub(super) fn find(
        &mut self,
        kind: &PushRuleKind,
        id: &str,
    ) -> Result<&mut PushRule, HandlerError> {
        let mut rules = self.list(kind)?.iter_mut();
        let found = rules.find(|rule| rule.rule_id == id);
        Ok(found.ok_or_else(not_found)?)
    }

    /// Adds a rule, or replaces the one with the same id. That one stays as enabled as it was.
    pub(super) fn put(
        &mut self,
        kind: &PushRuleKind,
        mut rule: PushRule,
        place: &Place<'_>,
    ) -> Result<(), HandlerError> {
        let list = self.list(kind)?;
        let known = position(list, &rule.rule_id);
        if let Some(known) = known {
            rule.enabled = list.remove(known).enabled;
        }
        let first = usize::from(list.first().is_some_and(|rule| rule.rule_id == MASTER));
        // The server's own rules cannot be referred to.
        let own = |id: &str| {
            let found = position(list, id).filter(|at| list[*at].default != Some(true));
            found.ok_or_else(|| {
                let error = format!("before/after rule not found: {id}");
                ApiError::new(400, ErrorCode::Unknown, error)
            })
        };
        let at = match place {
            Place::Unchanged => known.unwrap_or(first),
            Place::Before(id) => own(id)?,
            Place::After(id) => own(id)? + 1,
        };
        list.insert(at, rule);
        Ok(())
    }

    /// Removes a rule of the user.
    pub(super) fn remove(&mut self, kind: &PushRuleKind, id: &str) -> Result<(), HandlerError> {
        let list = self.list(kind)?;
        let at = position(list, id).filter(|at| list[*at].default != Some(true));
        list.remove(at.ok_or_else(not_found)?);
        Ok(())
    }

    fn list(&mut self, kind: &PushRuleKind) -> Result<&mut LenientList<PushRule>, ApiError> {
        let [overrides, content, room, sender, underride] = lists(&mut self.rules);
        match kind {
            PushRuleKind::Override => Ok(overrides),
            PushRuleKind::Content => Ok(content),
            PushRuleKind::Room => Ok(room),
            PushRuleKind::Sender => Ok(sender),
            PushRuleKind::Underride => Ok(underride),
            other => {
                let error = format!("there is no kind of push rules {other}");
                Err(ApiError::new(400, ErrorCode::InvalidParam, error))
            }
        }
    }
}

fn position(list: &[PushRule], id: &str) -> Option<usize> {
    list.iter().position(|rule| rule.rule_id == id)
}

fn not_found() -> ApiError {
    ApiError::new(404, ErrorCode::NotFound, "there is no such push rule")
}

/// Changes the predefined rules of a list, and adds the user's own ones before them.
fn merge(list: &mut LenientList<PushRule>, changes: LenientList<PushRule>) {
    let mut own = Vec::new();
    for change in changes.into_vec() {
        if change.default != Some(true) {
            own.push(change);
        } else if let Some(at) = position(list, &change.rule_id) {
            list[at].enabled = change.enabled;
            list[at].actions = change.actions;
        }
    }
    let first = usize::from(list.first().is_some_and(|rule| rule.rule_id == MASTER));
    drop(list.splice(first..first, own));
}

/// The lists of all kinds, in the order in which they are evaluated.
fn lists(rules: &mut PushRuleset) -> [&mut LenientList<PushRule>; 5] {
    [
        rules.overrides.get_or_insert_default(),
        rules.content.get_or_insert_default(),
        rules.room.get_or_insert_default(),
        rules.sender.get_or_insert_default(),
        rules.underride.get_or_insert_default(),
    ]
}

/// The same.
fn into_lists(rules: PushRuleset) -> [LenientList<PushRule>; 5] {
    [
        rules.overrides.unwrap_or_default(),
        rules.content.unwrap_or_default(),
        rules.room.unwrap_or_default(),
        rules.sender.unwrap_or_default(),
        rules.underride.unwrap_or_default(),
    ]
}
