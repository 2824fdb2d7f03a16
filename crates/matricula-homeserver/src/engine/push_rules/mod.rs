//! [Push rules](https://spec.matrix.org/v1.19/client-server-api/#push-rules): which events notify a user.
//!
//! Their number and size are limited in `ruleset`.

mod ruleset;
mod unread;

pub(crate) use unread::{AppendedEvent, on_event, write_counts};

use matricula_api::{
    ErrorCode, LenientList, StringOr,
    client::{
        definitions::PushRuleKind,
        pushrules::{
            DeletePushRule, DeletePushRuleResponse, GetPushRule, GetPushRuleActions,
            GetPushRuleActionsResponse, GetPushRules, GetPushRulesGlobal, GetPushRulesResponse,
            IsPushRuleEnabled, IsPushRuleEnabledResponse, SetPushRule, SetPushRuleActions,
            SetPushRuleActionsResponse, SetPushRuleEnabled, SetPushRuleEnabledResponse,
            SetPushRuleResponse,
        },
    },
    common::{PushRule, PushRuleset, Tweak},
};
use matricula_core::StepContext;
use serde_json::{Map, Value, json};

use super::{
    auth::requester::Requester,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::push_rules,
};
use ruleset::{Place, Ruleset};

/// The longest id of a rule, in bytes.
const MAX_ID: usize = 255;

impl Handler for GetPushRules {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetPushRulesResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let rules = Ruleset::load(context, &requester)?.rules;
        Ok(GetPushRulesResponse::new(rules))
    }
}

impl Handler for GetPushRulesGlobal {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<PushRuleset, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        Ok(Ruleset::load(context, &requester)?.rules)
    }
}

impl Handler for GetPushRule {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<PushRule, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let mut rules = Ruleset::load(context, &requester)?;
        Ok(rules.find(&self.kind, &self.rule_id)?.clone())
    }
}

impl Handler for SetPushRule {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetPushRuleResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        check_id(&self.rule_id)?;
        let mut rule = PushRule::new(parse_actions(self.actions)?, self.rule_id);
        rule.default = Some(false);
        rule.enabled = Some(true);
        match &self.kind {
            PushRuleKind::Override | PushRuleKind::Underride => {
                rule.conditions = Some(self.conditions.unwrap_or_default().into());
            }
            PushRuleKind::Content => {
                let pattern = self.pattern;
                rule.pattern = Some(pattern.ok_or_else(|| ApiError::missing_param("pattern"))?);
            }
            _ => {}
        }
        let place = match (&self.before, &self.after) {
            (Some(before), _) => Place::Before(before),
            (None, Some(after)) => Place::After(after),
            (None, None) => Place::Unchanged,
        };
        let mut rules = Ruleset::load(context, &requester)?;
        rules.put(&self.kind, rule, &place)?;
        rules.save(context, &requester)?;
        Ok(SetPushRuleResponse::default())
    }
}

impl Handler for DeletePushRule {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeletePushRuleResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let mut rules = Ruleset::load(context, &requester)?;
        rules.remove(&self.kind, &self.rule_id)?;
        rules.save(context, &requester)?;
        Ok(DeletePushRuleResponse::default())
    }
}

impl Handler for IsPushRuleEnabled {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<IsPushRuleEnabledResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let mut rules = Ruleset::load(context, &requester)?;
        let rule = rules.find(&self.kind, &self.rule_id)?;
        Ok(IsPushRuleEnabledResponse::new(rule.enabled != Some(false)))
    }
}

impl Handler for SetPushRuleEnabled {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetPushRuleEnabledResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let mut rules = Ruleset::load(context, &requester)?;
        rules.find(&self.kind, &self.rule_id)?.enabled = Some(self.enabled);
        rules.save(context, &requester)?;
        Ok(SetPushRuleEnabledResponse::default())
    }
}

impl Handler for GetPushRuleActions {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetPushRuleActionsResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let mut rules = Ruleset::load(context, &requester)?;
        let rule = rules.find(&self.kind, &self.rule_id)?;
        Ok(serde_json::from_value(json!({ "actions": rule.actions }))?)
    }
}

impl Handler for SetPushRuleActions {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetPushRuleActionsResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let mut rules = Ruleset::load(context, &requester)?;
        rules.find(&self.kind, &self.rule_id)?.actions = parse_actions(self.actions)?;
        rules.save(context, &requester)?;
        Ok(SetPushRuleActionsResponse::default())
    }
}

/// The content of `m.push_rules`.
pub(crate) fn content(
    context: &RequestContext<'_>,
    requester: &Requester,
) -> Result<Value, HandlerError> {
    let rules = Ruleset::load(context, requester)?.rules;
    Ok(json!({ "global": rules }))
}

/// The same, if it changed after a position. A user who changed nothing has rules from the beginning.
pub(crate) fn changed_content(
    context: &RequestContext<'_>,
    requester: &Requester,
    after: i64,
) -> Result<Option<Value>, HandlerError> {
    let changed = push_rules::find(context.tx, requester.user)?;
    if after > 0 && changed.is_none_or(|(_, position)| position <= after) {
        return Ok(None);
    }
    content(context, requester).map(Some)
}

fn check_id(id: &str) -> Result<(), ApiError> {
    if id.is_empty() || id.len() > MAX_ID || id.starts_with('.') || id.contains(['/', '\\']) {
        let error = format!(
            "the id of a push rule has 1 to {MAX_ID} bytes, does not begin with a dot, and contains \
             neither / nor \\"
        );
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
    }
    Ok(())
}

/// The actions of a rule. Those of older versions of the specification mean nothing, and are left out.
fn parse_actions(
    given: Vec<StringOr<Map<String, Value>>>,
) -> Result<LenientList<StringOr<Tweak>>, ApiError> {
    let mut actions: Vec<StringOr<Tweak>> = Vec::new();
    for action in given {
        match action {
            StringOr::Text(name) if name == "notify" => actions.push(StringOr::Text(name)),
            StringOr::Text(name) if ["dont_notify", "coalesce"].contains(&&*name) => {}
            StringOr::Text(name) => {
                let error = format!("there is no action {name}");
                return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
            }
            StringOr::Object(tweak) => {
                let tweak = serde_json::from_value(tweak.into()).map_err(|error| {
                    let error = format!("an action is no tweak: {error}");
                    ApiError::new(400, ErrorCode::InvalidParam, error)
                })?;
                actions.push(StringOr::Object(tweak));
            }
        }
    }
    Ok(actions.into())
}
