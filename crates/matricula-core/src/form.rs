//! Masking of secrets in a form.

use std::borrow::Cow;

use crate::MASK;

/// The form with the values of secret fields replaced by [`MASK`].
pub(crate) fn mask_form(text: &str, is_secret: impl Fn(&str) -> bool) -> String {
    let masked: Vec<Cow<'_, str>> = text
        .split('&')
        .map(|field| match field.split_once('=') {
            Some((name, _)) if is_secret(&decode(name)) => format!("{name}={MASK}").into(),
            _ => field.into(),
        })
        .collect();
    masked.join("&")
}

/// Decodes the percent-encoding of a name, so that `c%6Fde` counts as `code`.
fn decode(name: &str) -> Cow<'_, str> {
    let mut fields = form_urlencoded::parse(name.as_bytes());
    fields.next().map_or(Cow::Borrowed(""), |(name, _)| name)
}
