//! Signing in and signing up with a browser, before the person decides about something.

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Method, StepContext};

use super::{
    localpart, passwords, register::available_localpart, uia::UiaSession,
    uia::stages::try_registration_token, user_lookup::user_by_name,
};
use crate::{
    Config, Registration,
    config::{REGISTRATION_TOKEN, TERMS},
    engine::{
        context::RequestContext,
        error::{ApiError, HandlerError},
        html::{
            form::{FormData, FormError},
            login_page::{Consent, FormKind, LoginForm},
        },
        storage::{
            one_time_tokens::CSRF,
            users::{self, NewUser},
        },
    },
};

/// Stages that the form to sign up cannot complete.
const NOT_ON_FORM: [&str; 3] = [
    "m.login.email.identity",
    "m.login.msisdn",
    "m.login.recaptcha",
];

/// A page for which a person signs in.
pub(crate) struct LoginPage<'a> {
    /// Everything that the page is about. CSRF tokens of other pages are rejected.
    pub(crate) scope: &'a str,
    /// A sentence, in HTML, on what the person signs in for.
    pub(crate) purpose: &'a str,
    /// The expected user, if known.
    pub(crate) username: &'a str,
    /// Whether the form to sign up comes first.
    pub(crate) sign_up_first: bool,
    /// Where the decision may lead: see [`CspSources`](crate::engine::html::page::CspSources).
    pub(crate) form_targets: &'a str,
}

/// What a request to a [`LoginPage`] leads to.
pub(crate) enum LoginStep {
    /// The person is not signed in: this page asks.
    ShowPage(OutgoingResponse),
    /// The person has just signed in.
    SignedIn(i64),
    /// The signed-in person has pressed this button.
    Pressed(i64, String),
    /// The person has cancelled.
    Cancelled,
}

/// What a person has decided on a page that asks for consent.
pub(crate) enum Decision {
    /// No decision yet: this page asks.
    ShowPage(OutgoingResponse),
    Allowed(i64),
    Denied,
}

/// Handles a request to a page. The CSRF token carries who has signed in.
pub(crate) fn login_step(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    page: &LoginPage<'_>,
) -> Result<LoginStep, HandlerError> {
    let first = if page.sign_up_first && may_sign_up(context.config) {
        FormKind::SignUp
    } else {
        FormKind::SignIn
    };
    let form = FormData::parse(&context.request.body);
    if context.request.method != Method::Post {
        return show_form(context, cx, page, first, &form, None);
    }
    let csrf = form.value("csrf");
    let Some(user) = CSRF.redeem(context.tx, cx.now, page.scope, csrf)? else {
        let error = FormError {
            field: "",
            message: "this page was open for too long, or was used already; try again".to_owned(),
        };
        return show_form(context, cx, page, first, &form, Some(error));
    };
    match (form.value("step"), user) {
        ("cancel", _) => Ok(LoginStep::Cancelled),
        ("show-sign-up", _) => show_form(context, cx, page, FormKind::SignUp, &form, None),
        ("sign-up", _) => match sign_up(context, cx, &form)? {
            Ok(user) => Ok(LoginStep::SignedIn(user)),
            Err(error) => show_form(context, cx, page, FormKind::SignUp, &form, Some(error)),
        },
        ("sign-in", _) => match sign_in(context, cx, &form)? {
            Ok(user) => Ok(LoginStep::SignedIn(user)),
            Err(error) => show_form(context, cx, page, FormKind::SignIn, &form, Some(error)),
        },
        (step, Some(user)) if step != "show-sign-in" => {
            Ok(LoginStep::Pressed(user, step.to_owned()))
        }
        _ => show_form(context, cx, page, FormKind::SignIn, &form, None),
    }
}

/// Handles a request to a page on which a person signs in and then agrees to something.
pub(crate) fn decide(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    page: &LoginPage<'_>,
    consent: &Consent<'_>,
) -> Result<Decision, HandlerError> {
    match login_step(context, cx, page)? {
        LoginStep::ShowPage(reply) => Ok(Decision::ShowPage(reply)),
        LoginStep::SignedIn(user) => {
            let csrf = CSRF.issue(
                cx,
                context.tx,
                &context.request.peer,
                page.scope,
                Some(user),
            )?;
            let user_id = user_id(context, user)?;
            let reply = consent.page(&user_id, &csrf, page.form_targets);
            Ok(Decision::ShowPage(reply))
        }
        LoginStep::Pressed(user, button) if button == "allow" => Ok(Decision::Allowed(user)),
        LoginStep::Pressed(..) | LoginStep::Cancelled => Ok(Decision::Denied),
    }
}

/// The user id of an account.
pub(crate) fn user_id(context: &RequestContext<'_>, user: i64) -> Result<String, HandlerError> {
    let localpart = users::get(context.tx, user)?.localpart;
    Ok(localpart::user_id(context.config, &localpart)?.to_string())
}

fn sign_in(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    form: &FormData,
) -> Result<Result<i64, FormError>, HandlerError> {
    context.login_bucket().check_and_take(context.tx, cx.now)?;
    let user = user_by_name(context, Some(form.value("username").trim()))?;
    let user = passwords::verify_user(cx, user, form.value("password"))?;
    Ok(user.map(|it| it.id).ok_or_else(|| FormError {
        field: "password",
        message: passwords::WRONG_CREDENTIALS.to_owned(),
    }))
}

fn sign_up(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    form: &FormData,
) -> Result<Result<i64, FormError>, HandlerError> {
    let (config, tx) = (context.config, context.tx);
    if !may_sign_up(config) {
        let error = "registration is closed on this server";
        return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
    }
    context.registration_bucket().check(tx, cx.now)?;
    let localpart = match available_localpart(context, form.value("username").trim(), None) {
        Ok(localpart) => localpart,
        Err(error) => return form_error("username", error),
    };
    let password = form.value("password");
    if let Err(error) = passwords::check(&config.password_policy, password) {
        return form_error("password", error.into());
    }
    let mut session = UiaSession::new(cx);
    if flow_has(config, REGISTRATION_TOKEN) {
        let token = form.value("token").trim();
        if let Some(error) = try_registration_token(context, cx.now, &mut session, token)? {
            return form_error("token", error.into());
        }
    }
    if flow_has(config, TERMS) {
        if !form.accepts_all(&config.policies) {
            return Ok(Err(FormError {
                field: "accept",
                message: ALL_POLICIES.to_owned(),
            }));
        }
        session.present_policies(config)?;
        session.complete(TERMS);
    }
    context.registration_bucket().take(tx, cx.now)?;
    let password_hash = passwords::hash(cx, password)?;
    let account = NewUser {
        localpart: Some(&localpart),
        password_hash: Some(&password_hash),
        accepted_policies: session.accepted_policies(),
        is_guest: false,
    };
    let user = account.insert(tx, cx.now)?;
    session.count_token_use(tx)?;
    Ok(Ok(user))
}

/// The error of a form that does not accept all policies.
pub(crate) const ALL_POLICIES: &str = "all of them must be accepted to register here";

/// A rejected value as an error of its field; other errors stay what they are.
fn form_error(
    field: &'static str,
    error: HandlerError,
) -> Result<Result<i64, FormError>, HandlerError> {
    match error {
        HandlerError::Api(error) => Ok(Err(FormError {
            field,
            message: error.error.into_owned(),
        })),
        error => Err(error),
    }
}

pub(crate) fn may_sign_up(config: &Config) -> bool {
    config.registration == Registration::Open && browser_flow(config).is_some()
}

/// The first flow of registration that a form can complete.
fn browser_flow(config: &Config) -> Option<&[String]> {
    let mut flows = config.flows.iter();
    let flow = flows.find(|flow| !flow.iter().any(|it| NOT_ON_FORM.contains(&it.as_str())));
    flow.map(Vec::as_slice)
}

fn flow_has(config: &Config, stage: &str) -> bool {
    browser_flow(config).is_some_and(|flow| flow.iter().any(|it| it == stage))
}

fn show_form(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    page: &LoginPage<'_>,
    kind: FormKind,
    form: &FormData,
    error: Option<FormError>,
) -> Result<LoginStep, HandlerError> {
    let config = context.config;
    let csrf_token = CSRF.issue(cx, context.tx, &context.request.peer, page.scope, None)?;
    let username = match form.value("username") {
        "" => page.username,
        given => given,
    };
    let form = LoginForm {
        kind,
        purpose: page.purpose,
        username,
        server_name: &config.server_name,
        csrf_token: &csrf_token,
        may_sign_up: may_sign_up(config),
        needs_token: flow_has(config, REGISTRATION_TOKEN),
        policies: flow_has(config, TERMS).then_some(&config.policies),
        error: error.as_ref(),
        form_targets: page.form_targets,
    };
    Ok(LoginStep::ShowPage(form.page()))
}
