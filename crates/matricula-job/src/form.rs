//! Forms, as web pages send them: `name=value&name=value`, percent-encoded.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::MASK;

/// All that forms do not leave as it is. A space becomes a plus.
const FIELD: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

/// The pairs as the text of a form.
///
/// ```
/// # use matricula_job::encode_form;
/// assert_eq!(encode_form([("name", "a b"), ("to", "x&y")]), "name=a+b&to=x%26y");
/// ```
pub fn encode_form<N: AsRef<str>, V: AsRef<str>>(
    pairs: impl IntoIterator<Item = (N, V)>,
) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        push(&mut text, name.as_ref());
        text.push('=');
        push(&mut text, value.as_ref());
    }
    text
}

fn push(text: &mut String, part: &str) {
    for (index, word) in part.split(' ').enumerate() {
        if index > 0 {
            text.push('+');
        }
        text.extend(utf8_percent_encode(word, FIELD));
    }
}

/// The pairs of a form. What is not UTF-8 in it is replaced: nobody can refuse a form.
pub fn decode_form(text: &str) -> Vec<(String, String)> {
    fields(text)
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The text of a form with the values of these fields replaced by [`MASK`].
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

fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let fields = text.split('&').filter(|field| !field.is_empty());
    fields.map(|field| field.split_once('=').unwrap_or((field, "")))
}

fn decode(part: &str) -> String {
    let spaced = part.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
