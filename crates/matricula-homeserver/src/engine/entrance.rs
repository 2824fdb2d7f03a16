//! The pages on which a person signs in or up before deciding something.

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Method, StepContext};

use super::{
    layout::{CspSources, escape, page},
    login, names, passwords,
    refusal::{ApiError, HandlerError},
    register::NewUser,
    routes::RequestContext,
    uia::UiaSession,
    visits,
};
use crate::{
    Registration,
    config::{REGISTRATION_TOKEN, TERMS},
};

/// Stages that a form cannot complete.
const NOT_ON_FORM: [&str; 3] = [
    "m.login.email.identity",
    "m.login.msisdn",
    "m.login.recaptcha",
];

/// What a person is to come in for.
pub(super) struct LoginPage<'a> {
    /// All that the page is about: a form of another page is not taken.
    pub(super) scope: &'a str,
    /// A sentence, in HTML, on what is behind.
    pub(super) purpose: &'a str,
    /// Who is expected, if anybody.
    pub(super) username: &'a str,
    /// Whether it begins with signing up.
    pub(super) sign_up_first: bool,
    /// Where the decision leads: see [`CspSources`].
    pub(super) form_targets: &'a str,
}

/// How far a person has come.
pub(super) enum LoginStep {
    /// Not in yet: this page asks.
    ShowPage(OutgoingResponse),
    /// Just come in.
    SignedIn(i64),
    /// In, and this button was pressed.
    Pressed(i64, String),
    /// Gone away.
    Cancelled,
}

/// The fields of a form.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn of(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The field's value; empty where it is not there.
    pub(super) fn value(&self, name: &str) -> &str {
        let mut named = self.0.iter().filter(|(key, _)| key == name);
        named.next().map_or("", |(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A name that stands there more than once.
    pub(super) fn repeated(&self) -> Option<&str> {
        let names = self.0.iter().enumerate();
        let again = |at: usize, name: &str| self.0[..at].iter().any(|(before, _)| before == name);
        let mut repeated = names.filter(|(at, (name, _))| again(*at, name));
        repeated.next().map(|(_, (name, _))| name.as_str())
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }
}

/// What a form lacks: in which field, and why.
struct FormError(&'static str, String);

#[derive(Clone, Copy, PartialEq)]
enum FormKind {
    SignIn,
    SignUp,
}

impl RequestContext<'_> {
    /// Lets a person in, over as many requests as it takes.
    pub(super) fn login_step(
        &self,
        cx: &mut StepContext<'_>,
        door: &LoginPage<'_>,
    ) -> Result<LoginStep, HandlerError> {
        let first = match door.sign_up_first && self.may_sign_up() {
            true => FormKind::SignUp,
            false => FormKind::SignIn,
        };
        let form = Form::of(&self.request.body);
        if self.request.method != Method::Post {
            return self.show_form(cx, door, first, &form, None);
        }
        let Some(visitor) = visits::close(self.tx, cx.now, door.scope, form.value("visit"))? else {
            let late = "this page was open for too long, or was used already; try again";
            return self.show_form(cx, door, first, &form, Some(FormError("", late.to_owned())));
        };
        match (form.value("step"), visitor) {
            ("cancel", _) => Ok(LoginStep::Cancelled),
            ("show-sign-up", _) => self.show_form(cx, door, FormKind::SignUp, &form, None),
            ("sign-up", _) => match self.sign_up(cx, &form)? {
                Ok(user) => Ok(LoginStep::SignedIn(user)),
                Err(lack) => self.show_form(cx, door, FormKind::SignUp, &form, Some(lack)),
            },
            ("sign-in", _) => match self.check_sign_in(cx, &form)? {
                Ok(user) => Ok(LoginStep::SignedIn(user)),
                Err(lack) => self.show_form(cx, door, FormKind::SignIn, &form, Some(lack)),
            },
            (step, Some(user)) if step != "show-sign-in" => {
                Ok(LoginStep::Pressed(user, step.to_owned()))
            }
            _ => self.show_form(cx, door, FormKind::SignIn, &form, None),
        }
    }

    /// The hidden field that a form of somebody who is in brings back.
    pub(super) fn csrf_field(
        &self,
        cx: &mut StepContext<'_>,
        about: &str,
        user: Option<i64>,
    ) -> Result<String, HandlerError> {
        let visit = visits::open(cx, self.tx, about, user)?;
        Ok(format!(
            "<input type=\"hidden\" name=\"visit\" value=\"{visit}\">"
        ))
    }

    fn check_sign_in(
        &self,
        cx: &mut StepContext<'_>,
        form: &Form,
    ) -> Result<Result<i64, FormError>, HandlerError> {
        self.login_bucket().check_and_take(self.tx, cx.now)?;
        let username = form.value("username").trim();
        let localpart = names::existing_localpart(&self.homeserver.config, username);
        let account = match &localpart {
            Some(localpart) => login::find_user(self.tx, localpart)?,
            None => None,
        };
        let stored = account.as_ref().and_then(|it| it.password_hash.as_deref());
        let right = passwords::verify(cx, stored, form.value("password"))?;
        Ok(match (account, right) {
            (Some(account), true) => Ok(account.id),
            // One sentence for both, so that it does not tell which usernames exist.
            _ => Err(FormError(
                "password",
                "there is no such user, or the password is wrong".to_owned(),
            )),
        })
    }

    fn sign_up(
        &self,
        cx: &mut StepContext<'_>,
        form: &Form,
    ) -> Result<Result<i64, FormError>, HandlerError> {
        let Self {
            homeserver: home,
            tx,
            ..
        } = *self;
        if !self.may_sign_up() {
            let error = "registration is closed on this server";
            return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
        }
        self.registration_bucket().check(tx, cx.now)?;
        let localpart = match home.available_localpart(tx, form.value("username").trim(), None) {
            Ok(localpart) => localpart,
            Err(fault) => return form_error("username", fault),
        };
        let password = form.value("password");
        if let Err(refusal) = passwords::check(&home.config.password_policy, password) {
            return form_error("password", refusal.into());
        }
        let mut session = UiaSession::new(cx);
        if self.browser_flow_has(REGISTRATION_TOKEN) {
            let token = form.value("token").trim();
            if let Some(refusal) = self.try_registration_token(cx.now, &mut session, token)? {
                return form_error("token", refusal.into());
            }
        }
        if self.browser_flow_has(TERMS) {
            let mut policies = home.config.policies.keys();
            if !policies.all(|id| form.values("accept").any(|accepted| accepted == id)) {
                let error = "all of them must be accepted to register here";
                return Ok(Err(FormError("accept", error.to_owned())));
            }
            home.present_policies(&mut session)?;
            session.complete(TERMS);
        }
        self.registration_bucket().take(tx, cx.now)?;
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

    fn may_sign_up(&self) -> bool {
        self.homeserver.config.registration == Registration::Open && self.browser_flow().is_some()
    }

    /// The first way to register that goes on one page: what is proved elsewhere does not.
    fn browser_flow(&self) -> Option<&[String]> {
        let mut flows = self.homeserver.config.flows.iter();
        let flow = flows.find(|flow| !flow.iter().any(|it| NOT_ON_FORM.contains(&it.as_str())));
        flow.map(Vec::as_slice)
    }

    /// Whether that way has this stage.
    fn browser_flow_has(&self, stage: &str) -> bool {
        self.browser_flow()
            .is_some_and(|flow| flow.iter().any(|it| it == stage))
    }

    fn show_form(
        &self,
        cx: &mut StepContext<'_>,
        door: &LoginPage<'_>,
        way: FormKind,
        form: &Form,
        lack: Option<FormError>,
    ) -> Result<LoginStep, HandlerError> {
        let visit = self.csrf_field(cx, door.scope, None)?;
        let username = match form.value("username") {
            "" => door.username,
            given => given,
        };
        let fields = self.form_fields(way, username, lack.as_ref());
        let (title, step, other) = match way {
            FormKind::SignIn => ("Sign in", "sign-in", self.may_sign_up().then_some(
                "<p>No account yet? <button class=\"link\" name=\"step\" value=\"show-sign-up\" \
                 formnovalidate>Create an account</button></p>",
            )),
            FormKind::SignUp => ("Create an account", "sign-up", Some(
                "<p>You have an account? <button class=\"link\" name=\"step\" value=\"show-sign-in\" \
                 formnovalidate>Sign in</button></p>",
            )),
        };
        let alert = lack.as_ref().map_or(String::new(), FormError::alert);
        let body = format!(
            "{alert}<p>{}</p>\n<form method=\"post\">\n{visit}\n{fields}\
             <div class=\"buttons\">\n<button name=\"step\" value=\"{step}\">{title}</button>\n\
             <button class=\"quiet\" name=\"step\" value=\"cancel\" formnovalidate>Cancel</button>\n\
             </div>\n{}\n</form>",
            door.purpose,
            other.unwrap_or_default(),
        );
        let status = if lack.is_some() { 400 } else { 200 };
        let sources = CspSources {
            form_targets: door.form_targets,
            ..CspSources::default()
        };
        Ok(LoginStep::ShowPage(page(
            status, "en", title, &body, &sources,
        )))
    }

    fn form_fields(&self, way: FormKind, username: &str, lack: Option<&FormError>) -> String {
        let (password, server) = match way {
            FormKind::SignIn => ("autocomplete=\"current-password\"", String::new()),
            FormKind::SignUp => (
                "autocomplete=\"new-password\"",
                format!(
                    "It becomes @username:{}.",
                    self.homeserver.config.server_name
                ),
            ),
        };
        let plain = "autocapitalize=\"none\" spellcheck=\"false\"";
        let mut fields = Field {
            name: "username",
            label: "Username",
            hint: &server,
            kind: "text",
            more: &format!(
                "value=\"{}\" maxlength=\"255\" autocomplete=\"username\" {plain}",
                escape(username)
            ),
        }
        .html(lack);
        fields += &Field {
            name: "password",
            label: "Password",
            hint: "",
            kind: "password",
            more: &format!("maxlength=\"512\" {password}"),
        }
        .html(lack);
        if way == FormKind::SignUp && self.browser_flow_has(REGISTRATION_TOKEN) {
            fields += &Field::registration_token().html(lack);
        }
        if way == FormKind::SignUp && self.browser_flow_has(TERMS) {
            let error = lack.filter(|it| it.0 == "accept");
            fields += &self.homeserver.terms_fields(error.map(|it| it.1.as_str()));
        }
        fields
    }
}

/// The refusal as what the form lacks, unless it is about more than the form.
fn form_error(
    field: &'static str,
    fault: HandlerError,
) -> Result<Result<i64, FormError>, HandlerError> {
    match fault {
        HandlerError::Api(refusal) => Ok(Err(FormError(field, refusal.error.into_owned()))),
        fault => Err(fault),
    }
}

impl FormError {
    fn alert(&self) -> String {
        format!("<p role=\"alert\">Not yet: {}.</p>\n", escape(&self.1))
    }
}

/// The words as a sentence: refusals are written to stand within one.
pub(super) fn sentence(words: &str) -> String {
    let mut rest = words.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    format!("{}{}.", String::from_iter(first), rest.as_str())
}

/// One field of a form, with its label, and what is wrong with it beside it.
pub(super) struct Field<'a> {
    pub(super) name: &'static str,
    pub(super) label: &'a str,
    /// Text; none where it is empty.
    pub(super) hint: &'a str,
    pub(super) kind: &'static str,
    /// More attributes, in HTML.
    pub(super) more: &'a str,
}

impl Field<'_> {
    pub(super) fn registration_token() -> Self {
        Self {
            name: "token",
            label: "Registration token",
            hint: "You were given it by whoever runs this server.",
            kind: "text",
            more: "maxlength=\"64\" autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"",
        }
    }

    fn html(&self, lack: Option<&FormError>) -> String {
        let error = lack.filter(|it| it.0 == self.name).map(|it| it.1.as_str());
        self.with_error(error)
    }

    /// The field as HTML.
    pub(super) fn with_error(&self, error: Option<&str>) -> String {
        let Self {
            name,
            label,
            hint,
            kind,
            more,
        } = self;
        let note = |kind: &str, text: &str| {
            format!(
                "<p class=\"{kind}\" id=\"{name}-{kind}\">{}</p>\n",
                escape(text)
            )
        };
        let mut described = Vec::new();
        let mut notes = String::new();
        if !hint.is_empty() {
            described.push(format!("{name}-hint"));
            notes += &note("hint", hint);
        }
        let mut invalid = "";
        if let Some(error) = error {
            described.push(format!("{name}-error"));
            notes += &note("error", &sentence(error));
            invalid = " aria-invalid=\"true\" autofocus";
        }
        let described = match described.is_empty() {
            true => String::new(),
            false => format!(" aria-describedby=\"{}\"", described.join(" ")),
        };
        format!(
            "<div class=\"field\">\n<label for=\"{name}\">{}</label>\n{notes}\
             <input type=\"{kind}\" id=\"{name}\" name=\"{name}\" required {more}\
             {described}{invalid}>\n</div>\n",
            escape(label)
        )
    }
}
