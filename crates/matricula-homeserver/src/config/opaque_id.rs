//! The grammar of opaque identifiers.

/// Whether a text matches the [opaque identifier grammar](https://spec.matrix.org/v1.19/appendices/#opaque-identifiers).
pub(crate) fn is_opaque(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}
