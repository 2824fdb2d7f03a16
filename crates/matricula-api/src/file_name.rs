//! The name of a downloaded file: chosen by its uploader, made safe for a directory.

use percent_encoding::percent_decode_str;

/// The maximum length in bytes. Every file system allows it, with room for a suffix.
const MAX_LENGTH: usize = 200;
/// The maximum length of what counts as an ending, with its dot.
const MAX_ENDING: usize = 20;

/// The file name of a Content-Disposition header ([RFC 6266]), if there is one and something is left
/// of it: see [`safe`].
///
/// [RFC 6266]: https://www.rfc-editor.org/rfc/rfc6266
pub(crate) fn of_disposition(header: &str) -> Option<String> {
    let parameters = parameters(header);
    let value = |name: &str| {
        let found = parameters
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    };
    let extended = value("filename*").and_then(decoded);
    let name = extended.or_else(|| value("filename").map(str::to_owned))?;
    safe(&name)
}

/// The parameters of the header: names and values, without quotes.
fn parameters(header: &str) -> Vec<(String, String)> {
    let (mut parts, mut name, mut text) = (Vec::new(), None, String::new());
    let (mut is_quoted, mut chars) = (false, header.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' => is_quoted = !is_quoted,
            // Other backslashes are part of a path, which a browser once sent.
            '\\' if is_quoted => {
                text.push(chars.next_if(|next| "\"\\".contains(*next)).unwrap_or(c));
            }
            ';' if !is_quoted => parts.push((name.take(), std::mem::take(&mut text))),
            '=' if !is_quoted && name.is_none() => name = Some(std::mem::take(&mut text)),
            c => text.push(c),
        }
    }
    parts.push((name, text));
    let trimmed = |text: String| text.trim().to_owned();
    let parts = parts.into_iter();
    parts
        .filter_map(|(name, value)| Some((trimmed(name?), trimmed(value))))
        .collect()
}

/// The text of an extended value, like `UTF-8''caf%C3%A9` ([RFC 8187]).
///
/// [RFC 8187]: https://www.rfc-editor.org/rfc/rfc8187
fn decoded(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let bytes = percent_decode_str(encoded);
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => Some(bytes.decode_utf8_lossy().into_owned()),
        "iso-8859-1" => Some(bytes.map(char::from).collect()),
        _ => None,
    }
}

/// The name without what could make it another file than a new one in the directory, a hidden one, an
/// option of a command or a device; and without characters that change how a text is shown. `None` if
/// nothing is left.
fn safe(name: &str) -> Option<String> {
    // Of a path, on any system, the last part.
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !is_invisible(*c)).collect();
    let name = name.replace(['<', '>', ':', '"', '|', '?', '*'], "_");
    let name = name.trim_start_matches(|c: char| c.is_whitespace() || ".-~".contains(c));
    let name = name.trim_end_matches(|c: char| c.is_whitespace() || c == '.');
    let name = shortened(name);
    let prefix = if is_device(&name) { "_" } else { "" };
    (!name.is_empty()).then(|| format!("{prefix}{name}"))
}

/// Control characters, and those that change the direction or the extent of what is shown.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// The name with its ending, in at most [`MAX_LENGTH`] bytes.
fn shortened(name: &str) -> String {
    if name.len() <= MAX_LENGTH {
        return name.to_owned();
    }
    let dot = name.rfind('.').filter(|dot| name.len() - dot <= MAX_ENDING);
    let (stem, ending) = name.split_at(dot.unwrap_or(name.len()));
    let mut start = String::new();
    for c in stem.chars() {
        if start.len() + c.len_utf8() + ending.len() > MAX_LENGTH {
            break;
        }
        start.push(c);
    }
    format!("{}{ending}", start.trim_end())
}

/// Whether Windows opens a device by this name, whatever its ending.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_uppercase();
    let port = stem.strip_prefix("COM").or(stem.strip_prefix("LPT"));
    // Windows takes superscript digits too.
    let is_digit = |number: &str| number.len() == 1 && number.as_bytes()[0].is_ascii_digit();
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str())
        || port.is_some_and(|number| is_digit(number) || ["¹", "²", "³"].contains(&number))
}
