//! The pages on which a person signs in, signs up, and consents.

use std::collections::BTreeMap;

use matricula_api::server::OutgoingResponse;

use super::{
    form::{Field, FormError, alert, csrf_field, policy_fields},
    page::{CspSources, escape, page},
};
use crate::Policy;

/// Which form is shown.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum FormKind {
    SignIn,
    SignUp,
}

/// The page with the form to sign in or to sign up.
pub(crate) struct LoginForm<'a> {
    pub(crate) kind: FormKind,
    /// A sentence, in HTML, on what the person signs in for.
    pub(crate) purpose: &'a str,
    /// The prefilled username.
    pub(crate) username: &'a str,
    pub(crate) server_name: &'a str,
    pub(crate) csrf_token: &'a str,
    /// Whether the person may switch to the form to sign up.
    pub(crate) may_sign_up: bool,
    /// Whether signing up needs a registration token.
    pub(crate) needs_token: bool,
    /// The policies that must be accepted to sign up.
    pub(crate) policies: Option<&'a BTreeMap<String, Policy>>,
    pub(crate) error: Option<&'a FormError>,
    /// See [`CspSources::form_targets`].
    pub(crate) form_targets: &'a str,
}

impl LoginForm<'_> {
    /// The page.
    pub(crate) fn page(&self) -> OutgoingResponse {
        let (title, step, other) = match self.kind {
            FormKind::SignIn if self.may_sign_up => (
                "Sign in",
                "sign-in",
                "<p>No account yet? <button class=\"link\" name=\"step\" value=\"show-sign-up\" \
                 formnovalidate>Create an account</button></p>",
            ),
            FormKind::SignIn => ("Sign in", "sign-in", ""),
            FormKind::SignUp => (
                "Create an account",
                "sign-up",
                "<p>You have an account? <button class=\"link\" name=\"step\" \
                 value=\"show-sign-in\" formnovalidate>Sign in</button></p>",
            ),
        };
        let body = format!(
            "{}<p>{}</p>\n<form method=\"post\">\n{}\n{}\
             <div class=\"buttons\">\n<button name=\"step\" value=\"{step}\">{title}</button>\n\
             <button class=\"quiet\" name=\"step\" value=\"cancel\" formnovalidate>Cancel</button>\n\
             </div>\n{other}\n</form>",
            alert(self.error.map(|it| it.message.as_str())),
            self.purpose,
            csrf_field(self.csrf_token),
            self.fields(),
        );
        let status = if self.error.is_some() { 400 } else { 200 };
        let sources = CspSources {
            form_targets: self.form_targets,
            ..CspSources::default()
        };
        page(status, "en", title, &body, &sources)
    }

    fn error_of(&self, field: &str) -> Option<&str> {
        let error = self.error.filter(|it| it.field == field);
        error.map(|it| it.message.as_str())
    }

    fn fields(&self) -> String {
        let (password, hint) = match self.kind {
            FormKind::SignIn => ("autocomplete=\"current-password\"", String::new()),
            FormKind::SignUp => (
                "autocomplete=\"new-password\"",
                format!("Your user id will be @username:{}.", self.server_name),
            ),
        };
        let username = Field {
            name: "username",
            label: "Username",
            hint: &hint,
            kind: "text",
            attributes: &format!(
                "value=\"{}\" maxlength=\"255\" autocomplete=\"username\" \
                 autocapitalize=\"none\" spellcheck=\"false\"",
                escape(self.username)
            ),
        };
        let password = Field {
            name: "password",
            label: "Password",
            hint: "",
            kind: "password",
            attributes: &format!("maxlength=\"512\" {password}"),
        };
        let mut fields = username.html(self.error_of("username"));
        fields += &password.html(self.error_of("password"));
        if self.kind == FormKind::SignIn {
            return fields;
        }
        if self.needs_token {
            fields += &Field::registration_token().html(self.error_of("token"));
        }
        if let Some(policies) = self.policies {
            fields += &policy_fields(policies, self.error_of("accept"));
        }
        fields
    }
}

/// What a signed-in person is asked to agree to.
pub(crate) struct Consent<'a> {
    pub(crate) title: &'a str,
    /// HTML.
    pub(crate) details: &'a str,
    /// The label of the button.
    pub(crate) button: &'a str,
}

impl Consent<'_> {
    /// The page for the user with this id.
    pub(crate) fn page(
        &self,
        user_id: &str,
        csrf_token: &str,
        form_targets: &str,
    ) -> OutgoingResponse {
        let Self {
            title,
            details,
            button,
        } = self;
        let body = format!(
            "<p>You are signed in as <strong>{}</strong>.</p>\n{details}\n\
             <form method=\"post\">\n{}\n<div class=\"buttons\">\n\
             <button name=\"step\" value=\"allow\">{button}</button>\n\
             <button class=\"quiet\" name=\"step\" value=\"cancel\">Cancel</button>\n</div>\n\
             <p>Not you? <button class=\"link\" name=\"step\" value=\"show-sign-in\">Sign in with \
             another account</button></p>\n</form>",
            escape(user_id),
            csrf_field(csrf_token),
        );
        let sources = CspSources {
            form_targets,
            ..CspSources::default()
        };
        page(200, "en", title, &body, &sources)
    }
}
