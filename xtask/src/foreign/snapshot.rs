//! The snapshot of single requests: statuses and shapes of both servers, side by side.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use serde_json::Value;

use super::differences::Differences;
use super::outcome::Step;
use super::sources;
use crate::Result;

const SCRIPT: &str = "endpoints";
const HEAD: &str = "# Requests to both servers, with the status and the shape of the answer: the paths of its JSON with
# their types. Lines with = are those of both servers, + of the embedded homeserver only, - of Synapse only.
# Written by `cargo xtask foreign --bless`.
";

/// The answer to a request, as the script prints it.
struct Answer {
    request: String,
    /// The status, and the code of an error.
    status: String,
    shape: BTreeMap<String, String>,
}

/// Compares the answers with each other and with the snapshot. Returns what is wrong.
pub(super) fn check(
    ours: &[Step],
    synapse: &[Step],
    differences: &Differences,
    bless: bool,
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut sections = Vec::new();
    for step in synapse {
        let Some(found) = ours.iter().find(|it| it.name == step.name) else {
            problems.push(format!("{}: the script ended before it", step.name));
            continue;
        };
        let (found, expected) = (read(found)?, read(step)?);
        let reason = differences.reason(SCRIPT, &step.name);
        match (is_same(&found.status, &expected.status), reason) {
            (true, Some(_)) => problems.push(format!(
                "{}: differences.yaml lists it, but the status is the same",
                step.name
            )),
            (false, None) => problems.push(format!(
                "{}: {} is answered with {}, by Synapse with {}",
                step.name, found.request, found.status, expected.status
            )),
            _ => {}
        }
        sections.push((step.name.clone(), section(step, &found, &expected, reason)));
    }
    for name in differences.steps(SCRIPT) {
        if !synapse.iter().any(|step| step.name == name) {
            let problem =
                format!("{name}: differences.yaml lists it, but there is no such request");
            problems.push(problem);
        }
    }
    compare_file(&sections, bless, &mut problems)?;
    Ok(problems)
}

fn read(step: &Step) -> Result<Answer> {
    let value: Value = serde_json::from_str(&step.outcome)
        .map_err(|error| format!("the outcome of {} is not JSON: {error}", step.name))?;
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let shape = value["shape"].as_object().into_iter().flatten();
    Ok(Answer {
        request: text("request"),
        status: text("status"),
        shape: shape
            .map(|(path, kind)| (path.clone(), kind.as_str().unwrap_or_default().to_owned()))
            .collect(),
    })
}

/// Whether the statuses are the same. Synapse answers many errors with M_UNKNOWN, which says nothing.
fn is_same(ours: &str, synapse: &str) -> bool {
    let status = |text: &str| text.split(' ').next().map(str::to_owned);
    ours == synapse || synapse.ends_with(" M_UNKNOWN") && status(ours) == status(synapse)
}

fn section(step: &Step, ours: &Answer, synapse: &Answer, reason: Option<&str>) -> String {
    let mut text = format!("\n## {}\n{}\n", step.name, synapse.request);
    if let Some(reason) = reason {
        let _ = writeln!(text, "why: {reason}");
    }
    let mut line = |mark: char, content: &str| {
        let _ = writeln!(text, "{mark} {content}");
    };
    if ours.status == synapse.status {
        line('=', &ours.status);
    } else {
        line('-', &synapse.status);
        line('+', &ours.status);
    }
    let mut paths: Vec<_> = ours.shape.keys().chain(synapse.shape.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let (own, other) = (ours.shape.get(path), synapse.shape.get(path));
        if own == other {
            line('=', &format!("{path}: {}", own.map_or("", String::as_str)));
            continue;
        }
        for (mark, kind) in [('-', other), ('+', own)] {
            if let Some(kind) = kind {
                line(mark, &format!("{path}: {kind}"));
            }
        }
    }
    text
}

/// Compares the sections with the file, or writes it.
fn compare_file(
    sections: &[(String, String)],
    bless: bool,
    problems: &mut Vec<String>,
) -> Result<()> {
    let path = sources().join("requests.snap");
    let texts = sections.iter().map(|(_, text)| text.as_str());
    let whole = HEAD.to_owned() + &texts.collect::<String>();
    let before = fs::read_to_string(&path).unwrap_or_default();
    if bless {
        return fs::write(&path, whole)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()));
    }
    if before == whole {
        return Ok(());
    }
    let known: BTreeMap<&str, &str> = before
        .split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .collect();
    for (name, text) in sections {
        let body = text.splitn(3, '\n').nth(2).unwrap_or_default();
        match known.get(name.as_str()) {
            Some(snapshot) if snapshot.trim_end() == body.trim_end() => {}
            Some(snapshot) => problems.push(format!(
                "{name}: not as in requests.snap:{}",
                changes(snapshot, body)
            )),
            None => problems.push(format!(
                "{name}: requests.snap lacks it; write it with --bless"
            )),
        }
    }
    for name in known.keys() {
        if !sections.iter().any(|(section, _)| section == name) {
            problems.push(format!("{name}: no such request, but requests.snap has it"));
        }
    }
    Ok(())
}

/// The lines that are in one of the texts only.
fn changes(snapshot: &str, now: &str) -> String {
    let lacks = |text: &str, line: &str| !text.lines().any(|other| other == line);
    let gone = snapshot.lines().filter(|line| lacks(now, line));
    let new = now.lines().filter(|line| lacks(snapshot, line));
    let gone = gone.map(|line| format!("\n    snapshot: {line}"));
    gone.chain(new.map(|line| format!("\n    now:      {line}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(status: &str, shape: &str) -> Step {
        Step {
            name: "who am I".to_owned(),
            outcome: format!(r#"{{"request":"GET /whoami","status":"{status}","shape":{shape}}}"#),
        }
    }

    #[test]
    fn section_shows_both_servers() {
        let ours = step("200", r#"{"user_id":"string","is_guest":"boolean"}"#);
        let synapse = step("200", r#"{"user_id":"string","device_id":"string"}"#);
        let text = section(&ours, &read(&ours).unwrap(), &read(&synapse).unwrap(), None);
        let expected = "\n## who am I\nGET /whoami\n= 200\n- device_id: string\n\
                        + is_guest: boolean\n= user_id: string\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn status_needs_a_reason_to_differ() {
        let (ours, synapse) = (step("404 M_UNRECOGNIZED", "{}"), step("200", "{}"));
        let (ours, synapse) = (read(&ours).unwrap(), read(&synapse).unwrap());
        let text = section(&step("", "{}"), &ours, &synapse, Some("left for later"));
        let expected =
            "\n## who am I\nGET /whoami\nwhy: left for later\n- 200\n+ 404 M_UNRECOGNIZED\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn unknown_errors_of_synapse_are_any_error() {
        assert!(is_same("400 M_BAD_JSON", "400 M_UNKNOWN"));
        assert!(!is_same("403 M_FORBIDDEN", "400 M_UNKNOWN"));
        assert!(!is_same("400 M_UNKNOWN", "400 M_BAD_JSON"));
        assert!(!is_same("200", "400 M_UNKNOWN"));
    }

    #[test]
    fn changes_name_lines_of_either_text() {
        let text = changes("= 200\n= a: string\n", "= 200\n= a: number\n");
        assert_eq!(
            text,
            "\n    snapshot: = a: string\n    now:      = a: number"
        );
    }
}
