//! The outcomes of steps, and their comparison.

use super::differences::Differences;
use crate::Result;

/// A step of a script, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) outcome: String,
}

impl Step {
    fn is_failed(&self) -> bool {
        self.outcome.starts_with("failed")
    }
}

/// Reads the lines that a script printed.
pub(super) fn read_steps(text: &str) -> Result<Vec<Step>> {
    text.lines()
        .map(|line| {
            let (name, outcome) = line
                .split_once('\t')
                .ok_or_else(|| format!("a line that is not a step: {line}"))?;
            Ok(Step {
                name: name.to_owned(),
                outcome: outcome.to_owned(),
            })
        })
        .collect()
}

/// How the steps of a script on the embedded homeserver compare with those on Synapse.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Steps that have the same outcome, or differ as listed.
    pub(super) agreed: usize,
    pub(super) problems: Vec<String>,
}

/// Compares the steps one by one.
pub(super) fn compare(
    script: &str,
    ours: &[Step],
    synapse: &[Step],
    differences: &Differences,
) -> Comparison {
    let mut comparison = Comparison::default();
    for step in synapse {
        let found = ours.iter().find(|it| it.name == step.name);
        match found.map(|found| judge(script, found, step, differences)) {
            Some(Ok(())) => comparison.agreed += 1,
            Some(Err(problem)) => comparison
                .problems
                .push(format!("{}: {problem}", step.name)),
            None => comparison.problems.push(format!(
                "{}: the script ended before this step, see its log",
                step.name
            )),
        }
    }
    for step in ours {
        if !synapse.iter().any(|it| it.name == step.name) {
            let name = &step.name;
            comparison.problems.push(format!(
                "{name}: on Synapse, the script ended before this step"
            ));
        }
    }
    for name in differences.steps(script) {
        if !synapse.iter().any(|it| it.name == name) {
            let problem = format!("{name}: differences.yaml lists it, but there is no such step");
            comparison.problems.push(problem);
        }
    }
    comparison
}

fn judge(
    script: &str,
    ours: &Step,
    synapse: &Step,
    differences: &Differences,
) -> std::result::Result<(), String> {
    let reason = differences.reason(script, &ours.name);
    let both = format!(
        "\n    matricula: {}\n    synapse:   {}",
        ours.outcome, synapse.outcome
    );
    match (ours.is_failed(), synapse.is_failed()) {
        // No reason excuses a client that works on Synapse and fails here.
        (true, false) => Err(format!("it fails on the embedded homeserver{both}")),
        (true, true) if reason.is_none() => Err(format!("it fails on both{both}")),
        _ if ours.outcome == synapse.outcome && reason.is_some() => {
            Err("differences.yaml lists it, but there is no difference".to_owned())
        }
        _ if ours.outcome != synapse.outcome && reason.is_none() => Err(format!(
            "a difference that differences.yaml does not list{both}"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<Step> {
        read_steps(text).unwrap()
    }

    fn problems(ours: &str, synapse: &str, differences: &str) -> Vec<String> {
        let differences = Differences::parse(differences).unwrap();
        compare("client", &steps(ours), &steps(synapse), &differences).problems
    }

    const LISTED: &str = "- why: a reason\n  steps:\n    client: [send]\n";

    #[test]
    fn same_outcomes_agree() {
        let text = "log in\tok\nsend\tok: 1\n";
        assert_eq!(problems(text, text, "[]"), [""; 0]);
        let listed = problems(text, text, LISTED);
        assert_eq!(listed.len(), 1, "{listed:?}");
    }

    #[test]
    fn differences_need_a_reason() {
        let found = problems("send\tok: 1\n", "send\tok: 2\n", "[]");
        assert!(found[0].contains("does not list"), "{found:?}");
        assert_eq!(problems("send\tok: 1\n", "send\tok: 2\n", LISTED), [""; 0]);
    }

    #[test]
    fn failure_that_works_on_synapse_has_no_excuse() {
        let found = problems("send\tfailed: 404\n", "send\tok\n", LISTED);
        assert!(found[0].contains("it fails"), "{found:?}");
        let both = "send\tfailed: 404\n";
        assert_eq!(problems(both, "send\tfailed: 400\n", LISTED), [""; 0]);
        assert_eq!(problems(both, both, "[]").len(), 1);
    }

    #[test]
    fn missing_steps_are_problems() {
        assert_eq!(problems("", "send\tok\n", "[]").len(), 1);
        assert_eq!(problems("send\tok\n", "", "[]").len(), 1);
        assert_eq!(problems("", "", LISTED).len(), 1);
        assert!(read_steps("no tab\n").is_err());
    }
}
