//! [User-interactive authentication](https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api).

mod body;
mod session;
pub(crate) mod stages;

use matricula_api::{
    Raw,
    uia::{AuthData, Flow, Stage, UiaInfo},
};
use matricula_core::{StepContext, Timestamp};
use serde_json::{Value, json};

pub(crate) use body::{BodyWithoutAuth, with_first_body};
use body::{Sealed, seal};
pub(crate) use session::{
    APPLICATION_SERVICE, ProtectedOperation, RECAPTCHA, RegistrationParams, UiaSession,
    other_request, unknown_session,
};

use crate::{
    config::TERMS,
    engine::{
        context::RequestContext,
        error::{ApiError, HandlerError},
        html::page::policy_path,
        storage::uia_sessions,
    },
};

/// Tries the stage in `auth`, if there is one. Fails with the state of the session until a flow is
/// complete.
pub(crate) fn authenticate(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    session: &mut UiaSession,
    auth: Option<&AuthData>,
) -> Result<(), HandlerError> {
    let stage = auth.and_then(|auth| Some((auth, auth.stage.as_ref()?)));
    let failure = match stage {
        Some((auth, stage)) => stages::try_stage(context, cx, session, stage.as_str(), auth)?,
        None => None,
    };
    if session.is_authenticated(context.config) {
        return Ok(());
    }
    let info = uia_info(context, session, failure)?;
    session.save(context, cx.now)?;
    Err(HandlerError::Uia(Box::new(info)))
}

/// Stores a successful response in the session that has authorized its request, if there is one.
pub(crate) fn store_result(
    context: &RequestContext<'_>,
    now: Timestamp,
    result: &[u8],
) -> Result<(), HandlerError> {
    let Some(id) = context.finished_session.take() else {
        return Ok(());
    };
    let sealed = seal(&id, Sealed::Result, result);
    Ok(uia_sessions::finish(context.tx, now, &id, &sealed)?)
}

/// The flows, the completed stages, and the error of the last stage that was tried.
fn uia_info(
    context: &RequestContext<'_>,
    session: &mut UiaSession,
    failure: Option<ApiError>,
) -> Result<UiaInfo, HandlerError> {
    let config = context.config;
    let flow =
        |stages: Vec<&str>| Flow::new(stages.into_iter().map(Stage::from).collect::<Vec<_>>());
    let mut info = UiaInfo::default();
    info.flows = session.flows(config).into_iter().map(flow).collect();
    if session.has_stage(config, TERMS) {
        session.present_policies(config)?;
        let policies = json!({ "policies": policies_json(context) });
        info.params.insert(Stage::Terms, Raw::from(&policies));
    }
    if session.has_stage(config, RECAPTCHA)
        && let Some(captcha) = &config.captcha
    {
        let params = json!({ "public_key": captcha.public_key });
        info.params.insert(Stage::Recaptcha, Raw::from(&params));
    }
    let completed = session.completed.iter();
    info.completed = completed.map(|it| Stage::from(it.as_str())).collect();
    info.session = Some(session.id.clone());
    if let Some(failure) = failure {
        info.errcode = Some(failure.code);
        info.error = Some(failure.error.into_owned());
    }
    Ok(info)
}

fn policies_json(context: &RequestContext<'_>) -> Value {
    let mut policies = json!({});
    for (id, policy) in &context.config.policies {
        policies[id] = json!({ "version": policy.version });
        for (language, document) in &policy.translations {
            policies[id][language] = json!({
                "name": document.name,
                "url": context.url(&policy_path(id, language)),
            });
        }
    }
    policies
}
