//! Form data that a browser sends, and form fields with their error messages.

use std::collections::BTreeMap;

use super::page::{escape, policy_path, sentence};
use crate::Policy;

/// The fields of a submitted form.
pub(crate) struct FormData(Vec<(String, String)>);

impl FormData {
    /// Parses the body of a request.
    pub(crate) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The value of a field; empty where the field is missing.
    pub(crate) fn value(&self, name: &str) -> &str {
        let mut named = self.0.iter().filter(|(key, _)| key == name);
        named.next().map_or("", |(_, value)| value)
    }

    /// The number of fields.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a field is there more than once.
    pub(crate) fn has_repeated_field(&self) -> bool {
        let mut names = self.0.iter().enumerate();
        names.any(|(at, (name, _))| self.0[..at].iter().any(|(before, _)| before == name))
    }

    /// Whether the person has accepted all policies.
    pub(crate) fn accepts_all(&self, policies: &BTreeMap<String, Policy>) -> bool {
        let accepts = |id: &String| self.0.iter().any(|(key, it)| key == "accept" && it == id);
        policies.keys().all(accepts)
    }
}

/// An error in a form: the name of the field, or nothing where it is about the whole form.
pub(crate) struct FormError {
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

/// The error message at the top of a form.
pub(crate) fn alert(message: Option<&str>) -> String {
    message.map_or(String::new(), |message| {
        format!(
            "<p role=\"alert\">Please correct this: {}.</p>\n",
            escape(message)
        )
    })
}

/// The hidden field with a CSRF token.
pub(crate) fn csrf_field(token: &str) -> String {
    format!("<input type=\"hidden\" name=\"csrf\" value=\"{token}\">")
}

/// One input field with its label.
pub(crate) struct Field<'a> {
    pub(crate) name: &'static str,
    pub(crate) label: &'a str,
    /// May be empty.
    pub(crate) hint: &'a str,
    pub(crate) kind: &'static str,
    /// More attributes, in HTML.
    pub(crate) attributes: &'a str,
}

impl Field<'_> {
    /// The field for a registration token.
    pub(crate) fn registration_token() -> Self {
        Self {
            name: "token",
            label: "Registration token",
            hint: "The administrator of this server has given it to you.",
            kind: "text",
            attributes: "maxlength=\"64\" autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"",
        }
    }

    /// The field as HTML, with its error message if there is one.
    pub(crate) fn html(&self, error: Option<&str>) -> String {
        let Self {
            name,
            label,
            hint,
            kind,
            attributes,
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
        let described = if described.is_empty() {
            String::new()
        } else {
            format!(" aria-describedby=\"{}\"", described.join(" "))
        };
        format!(
            "<div class=\"field\">\n<label for=\"{name}\">{}</label>\n{notes}\
             <input type=\"{kind}\" id=\"{name}\" name=\"{name}\" required {attributes}\
             {described}{invalid}>\n</div>\n",
            escape(label)
        )
    }
}

/// Checkboxes to accept the policies, with their error message if there is one.
pub(crate) fn policy_fields(policies: &BTreeMap<String, Policy>, error: Option<&str>) -> String {
    let (note, described) = match error {
        Some(error) => (
            format!(
                "<p class=\"error\" id=\"accept-error\">{}</p>\n",
                escape(&sentence(error))
            ),
            " aria-describedby=\"accept-error\" aria-invalid=\"true\"",
        ),
        None => (String::new(), ""),
    };
    let mut items = String::new();
    for (id, policy) in policies {
        let english = policy.translations.get_key_value("en");
        let Some((language, document)) = english.or(policy.translations.first_key_value()) else {
            continue;
        };
        let name = escape(&document.name);
        items += &format!(
            "<li><label><input type=\"checkbox\" name=\"accept\" value=\"{}\" required{described}> \
             I accept {name} (version {})</label><br><a href=\"{}\" target=\"_blank\">Read \
             {name}</a></li>\n",
            escape(id),
            escape(&policy.version),
            escape(&policy_path(id, language)),
        );
    }
    format!("{note}<ul>\n{items}</ul>")
}
