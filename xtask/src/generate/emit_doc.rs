//! Writes the documentation of operations.

use std::fmt::Write;

use super::emit_type::doc;
use super::model::Operation;
use crate::spec::TAG;

/// What a person wants to know of an operation before using it.
pub(crate) fn documentation(code: &mut String, found: &Operation) {
    let method = found.method.to_ascii_uppercase();
    doc(
        code,
        "",
        &format!("`{method} {}`: {}", found.path, found.doc),
    );
    let mut facts = vec![
        match found.auth.as_str() {
            "None" => "Token: none.",
            "Optional" => "Token: if there is one.",
            "Required" => "Token: required.",
            "AppserviceOptional" => "Token: an application service's, if there is one.",
            _ => "Token: an application service's.",
        }
        .to_owned(),
    ];
    if found.rate_limited {
        facts.push("Rate-limited.".to_owned());
    }
    if found.uia {
        facts.push("May ask for user-interactive authentication.".to_owned());
    }
    if let Some(since) = &found.since {
        facts.push(format!("Since {since}."));
    }
    if found.deprecated {
        facts.push("Deprecated.".to_owned());
    }
    *code += "///\n";
    doc(code, "", &facts.join(" "));
    let anchor: String = format!("{}{}", found.method, found.path)
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .collect();
    let anchor = anchor.to_ascii_lowercase();
    let _ = writeln!(
        code,
        "/// [Specification](https://spec.matrix.org/{TAG}/client-server-api/#{anchor})"
    );
}
