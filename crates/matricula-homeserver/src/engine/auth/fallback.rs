//! The [fallback pages](https://spec.matrix.org/v1.19/client-server-api/#fallback) of authentication
//! stages, and the documents of policies.

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Method, StepContext};

use super::{
    login_page::ALL_POLICIES,
    uia::UiaSession,
    uia::stages::{is_threepid_stage, registration_has_stage, try_registration_token},
};
use crate::{
    config::{REGISTRATION_TOKEN, TERMS},
    engine::{
        context::RequestContext,
        error::{ApiError, HandlerError},
        html::{
            fallback::{
                document_page, done_page, policies_page, registration_token_page, unchecked_page,
            },
            form::FormData,
            page::or_error_page,
        },
        util::ALPHANUMERIC,
    },
};

/// The path of the pages; the parameter is the stage.
pub(crate) const PATH: &str = "/_matrix/client/v3/auth/{}/fallback/web";

/// The page of a stage. Stages that the server really checks have none.
pub(crate) fn page(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    path: &[String],
) -> Result<OutgoingResponse, HandlerError> {
    or_error_page(stage_page(context, cx, &path[0]))
}

fn stage_page(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    stage: &str,
) -> Result<OutgoingResponse, HandlerError> {
    let (config, tx, request) = (context.config, context.tx, context.request);
    if !registration_has_stage(config, stage) || is_threepid_stage(config, stage) {
        let error = "no flow of this server has this stage";
        return Err(ApiError::new(404, ErrorCode::Unrecognized, error).into());
    }
    let id = request.query("session");
    let id = id.ok_or_else(|| ApiError::missing_param("session"))?;
    let mut session = UiaSession::load(tx, cx.now, id)?;
    if session.user.is_some() || session.has_completed(stage) {
        return Ok(done(cx));
    }
    if let Some(error) = session.out_of_order(config, stage) {
        return Err(error.into());
    }
    if stage == TERMS {
        session.present_policies(config)?;
    }
    let mut failure = None;
    if request.method == Method::Post {
        failure = submit(context, cx, &mut session, stage)?;
    }
    session.save(context, cx.now)?;
    if session.has_completed(stage) {
        return Ok(done(cx));
    }
    let error = failure.as_ref().map(|it| &*it.error);
    Ok(match stage {
        TERMS => policies_page(&config.policies, error),
        REGISTRATION_TOKEN => registration_token_page(error),
        stage => unchecked_page(stage),
    })
}

/// Handles a submitted form. Returns its error, if it has one.
fn submit(
    context: &RequestContext<'_>,
    cx: &StepContext<'_>,
    session: &mut UiaSession,
    stage: &str,
) -> Result<Option<ApiError>, HandlerError> {
    let form = FormData::parse(&context.request.body);
    match stage {
        TERMS if !form.accepts_all(&context.config.policies) => {
            let error = ApiError::new(400, ErrorCode::MissingParam, ALL_POLICIES);
            return Ok(Some(error));
        }
        REGISTRATION_TOKEN => {
            let token = form.value("token").trim();
            return try_registration_token(context, cx.now, session, token);
        }
        _ => session.complete(stage),
    }
    Ok(None)
}

fn done(cx: &mut StepContext<'_>) -> OutgoingResponse {
    done_page(&cx.entropy.text(ALPHANUMERIC, 24))
}

/// The document of a policy in one language.
pub(crate) fn policy_document(
    context: &RequestContext<'_>,
    _: &mut StepContext<'_>,
    path: &[String],
) -> Result<OutgoingResponse, HandlerError> {
    let (policy, language) = (&path[0], &path[1]);
    let policy = context.config.policies.get(policy);
    let found = policy.and_then(|it| Some((it, it.translations.get(language)?)));
    let Some((policy, document)) = found else {
        return Err(ApiError::unrecognized().into());
    };
    Ok(document_page(&policy.version, language, document))
}
