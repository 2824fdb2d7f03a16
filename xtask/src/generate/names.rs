//! Converts names of the specification to Rust names.

/// The words of a name in any style: `getAccount3PIDs`, `m.fully_read`, `Joined Rooms`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut previous = ' ';
    let characters: Vec<char> = name.chars().collect();
    for (index, &character) in characters.iter().enumerate() {
        if !character.is_ascii_alphanumeric() {
            previous = ' ';
            continue;
        }
        let next_is_lower = characters
            .get(index + 1)
            .is_some_and(char::is_ascii_lowercase);
        // `HTTPServer` and `RoomId` are two words each; the plural `IDs` is one.
        let begins = !previous.is_ascii_alphanumeric()
            || character.is_ascii_uppercase()
                && (!previous.is_ascii_uppercase()
                    || (next_is_lower && !ends_plural(&characters, index)));
        match words.last_mut() {
            Some(word) if !begins => word.push(character.to_ascii_lowercase()),
            _ => words.push(character.to_ascii_lowercase().to_string()),
        }
        previous = character;
    }
    words
}

/// Whether the capital at `index` ends a plural abbreviation, such as `IDs`.
fn ends_plural(characters: &[char], index: usize) -> bool {
    characters.get(index + 1) == Some(&'s')
        && !characters
            .get(index + 2)
            .is_some_and(char::is_ascii_lowercase)
}

/// The name of a type or variant.
pub(crate) fn pascal(name: &str) -> String {
    let capital = |word: String| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + rest
    };
    words(name).into_iter().map(capital).collect()
}

/// The name of a field or module.
pub(crate) fn snake(name: &str) -> String {
    // The prefix of the specification's own names adds nothing.
    let name = name.strip_prefix("m.").unwrap_or(name);
    let name = words(name).join("_");
    match name.as_str() {
        // `type` and `override` are keywords in Rust.
        "type" => "kind".to_owned(),
        "override" => "overrides".to_owned(),
        _ => name,
    }
}

/// The name of the variant for a value of an enumeration.
pub(crate) fn variant(value: &str) -> String {
    let short = value.strip_prefix("m.").unwrap_or(value);
    let short = short.strip_prefix("org.matrix.").unwrap_or(short);
    // The name of the enum says that it is a role.
    let short = short.strip_prefix("role.").unwrap_or(short);
    pascal(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_in_pascal_case() {
        for (name, expected) in [
            ("getAccount3PIDs", "GetAccount3Pids"),
            ("add3PID", "Add3Pid"),
            ("logout_all", "LogoutAll"),
            ("redirectToSSO", "RedirectToSso"),
            ("uploadContentToMXC", "UploadContentToMxc"),
            ("queryUserByID", "QueryUserById"),
            ("Third-party Signed", "ThirdPartySigned"),
            ("requestOpenIdToken", "RequestOpenIdToken"),
            ("client_event_without_room_id", "ClientEventWithoutRoomId"),
        ] {
            assert_eq!(pascal(name), expected);
        }
    }

    #[test]
    fn variants_drop_common_prefixes() {
        for (value, expected) in [
            ("m.role.admin", "Admin"),
            ("org.matrix.msc1_a", "Msc1A"),
            ("m.login.role", "LoginRole"),
        ] {
            assert_eq!(variant(value), expected);
        }
    }

    #[test]
    fn fields_are_named_in_snake_case() {
        for (name, expected) in [
            ("roomIdOrAlias", "room_id_or_alias"),
            ("m.fully_read", "fully_read"),
            ("og:image", "og_image"),
            ("matrix:image:size", "matrix_image_size"),
            ("type", "kind"),
            ("txnId", "txn_id"),
        ] {
            assert_eq!(snake(name), expected);
        }
    }
}
