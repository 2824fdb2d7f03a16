//! Command lines to type: quoting, and this program's name.

/// This program's name as it was called, for commands to type.
pub(crate) fn program() -> String {
    match std::env::args_os().next() {
        Some(program) => shell_word(&program.to_string_lossy()),
        None => "matricula".to_owned(),
    }
}

/// The text quoted as one word for a shell.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_shells() {
        assert_eq!(shell_word("@alice:b.test"), "@alice:b.test");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("$(x)'y"), r"'$(x)'\''y'");
        assert_eq!(shell_word(""), "''");
    }
}
