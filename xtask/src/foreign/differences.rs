//! The reviewed list of differences from Synapse, with a reason for each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Result;

/// The reasons, by script and step.
#[derive(Debug, Default)]
pub(super) struct Differences(BTreeMap<(String, String), String>);

impl Differences {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Parses a list of `{why, steps: {script: [step]}}`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let list: Value = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
        let mut reasons = BTreeMap::new();
        for entry in list.as_array().ok_or("it is not a list")? {
            let why = entry["why"].as_str().ok_or("an entry has no `why`")?;
            let scripts = entry["steps"].as_object();
            for (script, steps) in scripts.ok_or("an entry has no `steps`")? {
                let steps = steps
                    .as_array()
                    .ok_or("the steps of a script are not a list")?;
                for step in steps.iter().filter_map(Value::as_str) {
                    let key = (script.clone(), step.to_owned());
                    if reasons.insert(key, why.to_owned()).is_some() {
                        return Err(format!("{script} / {step} is listed twice"));
                    }
                }
            }
        }
        Ok(Self(reasons))
    }

    /// Why this step differs, if it is listed.
    pub(super) fn reason(&self, script: &str, step: &str) -> Option<&str> {
        let key = (script.to_owned(), step.to_owned());
        self.0.get(&key).map(String::as_str)
    }

    /// The listed steps of a script.
    pub(super) fn steps<'a>(&'a self, script: &'a str) -> impl Iterator<Item = &'a str> {
        let of_script = self.0.keys().filter(move |(listed, _)| listed == script);
        of_script.map(|(_, step)| step.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_found_by_script_and_step() {
        let text =
            "- why: left for later\n  steps:\n    endpoints: [search, spaces]\n    bot: [search]\n";
        let differences = Differences::parse(text).unwrap();
        assert_eq!(differences.reason("bot", "search"), Some("left for later"));
        assert_eq!(differences.reason("bot", "spaces"), None);
        assert_eq!(differences.steps("endpoints").count(), 2);
    }

    #[test]
    fn malformed_lists_are_rejected() {
        for text in [
            "{}",
            "- steps: {}",
            "- why: x",
            "- {why: x, steps: {a: [b, b]}}",
        ] {
            assert!(Differences::parse(text).is_err(), "{text}");
        }
    }
}
