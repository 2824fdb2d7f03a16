//! Finds the JSON path of a deserialisation error, by a second pass over the invalid body.

use serde_json::error::Category;

/// The reason, with the path in `body`. Values are left out, because they may be secret.
///
/// The error of a part that was parsed separately contains a path inside that part, which is
/// appended.
pub(crate) fn explain(body: &[u8], error: &serde_json::Error) -> String {
    if error.classify() != Category::Data {
        return format!("it is not whole JSON: {error}");
    }
    let reason = reason(error);
    let (what, inner) = reason.split_once(", at /").unwrap_or((&reason, ""));
    let mut path = path_at(body, offset(body, error));
    // The innermost path comes first.
    for part in inner.rsplit(", at /").filter(|part| !part.is_empty()) {
        path = path + "/" + part;
    }
    if path.is_empty() {
        what.to_owned()
    } else {
        format!("{what}, at {path}")
    }
}

/// The message of `error` without its position and without the value that was found.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(text, _)| text);
    let found = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix));
    match found.and_then(|found| found.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            let kind = found.split(['"', '`']).next().unwrap_or_default().trim();
            format!("expected {expected}, found {kind}")
        }
        None => text.to_owned(),
    }
}

/// The number of bytes of `body` that were read before `error`.
fn offset(body: &[u8], error: &serde_json::Error) -> usize {
    let before = body.split_inclusive(|byte| *byte == b'\n');
    let lines = error.line().saturating_sub(1);
    before.take(lines).map(<[u8]>::len).sum::<usize>() + error.column()
}

enum Container<'a> {
    Object { key: Option<&'a [u8]> },
    Array { index: usize },
}

/// The JSON pointer of the value at `offset`.
pub(crate) fn path_at(body: &[u8], offset: usize) -> String {
    let read = &body[..offset.min(body.len())];
    let mut inside: Vec<Container<'_>> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = read.get(at) {
        at += 1;
        match (byte, inside.last_mut()) {
            (b'{', _) => inside.push(Container::Object { key: None }),
            (b'[', _) => inside.push(Container::Array { index: 0 }),
            (b'}' | b']', _) => drop(inside.pop()),
            (b',', Some(Container::Object { key })) => *key = None,
            (b',', Some(Container::Array { index })) => *index += 1,
            (b'"', last) => {
                let start = at;
                while read.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if read[at] == b'\\' { 2 } else { 1 };
                }
                if let Some(Container::Object { key: key @ None }) = last {
                    *key = read.get(start..at);
                }
                at += 1;
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for step in inside {
        match step {
            Container::Object { key: None } => {}
            Container::Object { key: Some(key) } => {
                let key = String::from_utf8_lossy(key);
                path = path + "/" + &key.replace('~', "~0").replace('/', "~1");
            }
            Container::Array { index } => path += &format!("/{index}"),
        }
    }
    path
}
