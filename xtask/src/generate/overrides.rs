//! Corrections and additions to the data, from `overrides.yaml`. Each has a reason.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::model::COMMON;
use super::spec::{Node, entries, items, parse, text, texts};
use crate::Result;

/// Section and site of an override.
pub(crate) type Key = (&'static str, String);

/// The overrides of one API and those of all APIs, by the site that they are for:
/// `register.request/type` or `client-server/definitions/auth_data.yaml/session`.
pub(crate) struct Overrides {
    values: BTreeMap<Key, Node>,
    /// The keys of the overrides that apply to all APIs.
    common: BTreeSet<Key>,
    used: RefCell<BTreeSet<Key>>,
}

/// The sections of the file.
const SECTIONS: &[&str] = &[
    "event_types",
    "auth",
    "empty_as_absent",
    "definitions",
    "empty_body",
    "enums",
    "fields",
    "formats",
    "guests",
    "keyed_body",
    "event_kinds",
    "missing_as_empty",
    "names",
    "no_body",
    "optional",
    "raw",
    "retry",
    "secrets",
    "since",
    "tagged",
    "type_names",
    "types",
    "uia",
    "docs",
];

impl Overrides {
    /// Reads the overrides of `api`, after those of all APIs.
    pub(crate) fn read(yaml: &str, api: &str) -> Result<Self> {
        let root = parse(yaml)?;
        let mut values = BTreeMap::new();
        read_sections(root.get(COMMON), &mut values)?;
        let common = values.keys().cloned().collect();
        read_sections(root.get(api), &mut values)?;
        let used = RefCell::default();
        Ok(Self {
            values,
            common,
            used,
        })
    }

    /// The override for `site`.
    pub(crate) fn get(&self, section: &'static str, site: &str) -> Option<&Node> {
        let key = (section, site.to_owned());
        let value = self.values.get(&key)?;
        self.used.borrow_mut().insert(key);
        Some(value)
    }

    /// The schemas of the section `fields`.
    pub(crate) fn field_schemas(&self) -> impl Iterator<Item = &Node> {
        let fields = self
            .values
            .iter()
            .filter(|((section, _), _)| *section == "fields");
        fields.map(|(_, node)| node)
    }

    /// All entries of a section, by site.
    pub(crate) fn all(&self, section: &'static str) -> impl Iterator<Item = (&str, &Node)> {
        let found = self.values.iter().filter(move |(key, _)| key.0 == section);
        found.map(|(key, node)| {
            self.used.borrow_mut().insert(key.clone());
            (key.1.as_str(), node)
        })
    }

    /// Whether `section` has an entry for `site`.
    pub(crate) fn has(&self, section: &'static str, site: &str) -> bool {
        self.get(section, site).is_some()
    }

    /// The string that `section` has for `site`.
    pub(crate) fn text(&self, section: &'static str, site: &str) -> Option<&str> {
        self.get(section, site)?.as_str()
    }

    /// Fails where an override of this API alone was for a site that the data does not have.
    pub(crate) fn all_used(&self) -> Result<()> {
        let unused = self.unused().filter(|key| !self.common.contains(*key));
        all_exist(unused)
    }

    /// The overrides of all APIs that this one had no use for.
    pub(crate) fn unused_common(&self) -> BTreeSet<Key> {
        let unused = self.unused().filter(|key| self.common.contains(*key));
        unused.cloned().collect()
    }

    fn unused(&self) -> impl Iterator<Item = &Key> {
        let used = self.used.borrow().clone();
        self.values.keys().filter(move |key| !used.contains(*key))
    }
}

/// Fails where there is an override for a site that the data does not have.
pub(crate) fn all_exist<'a>(unused: impl Iterator<Item = &'a Key>) -> Result<()> {
    let list: Vec<String> = unused
        .map(|(section, site)| format!("  {section}: {site}"))
        .collect();
    if list.is_empty() {
        return Ok(());
    }
    Err(format!(
        "overrides for places that the specification does not have:\n{}",
        list.join("\n")
    ))
}

fn read_sections(api: Option<&Node>, values: &mut BTreeMap<Key, Node>) -> Result<()> {
    for (section, list) in api.into_iter().flat_map(entries) {
        let known = SECTIONS.iter().copied().find(|known| *known == section);
        let known = known.ok_or_else(|| {
            format!(
                "`{section}` is not a section; the sections are {}",
                SECTIONS.join(", ")
            )
        })?;
        for entry in items(Some(list)) {
            if text(entry, "why").is_none_or(|why| why.trim().is_empty()) {
                return Err(format!("an entry of `{section}` gives no reason (`why`)"));
            }
            let sites = entry.get("at");
            for site in texts(sites) {
                values.insert((known, site.to_owned()), entry.clone());
            }
            for (site, value) in sites.into_iter().flat_map(entries) {
                values.insert((known, site.to_owned()), value.clone());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_need_a_reason_and_a_place() {
        let read = |yaml: &str| Overrides::read(yaml, "client");
        assert!(read("client:\n  secrets:\n    - { at: [a.request/x] }").is_err());
        assert!(read("client:\n  nonsense:\n    - { why: w, at: [a] }").is_err());

        let overrides = read("client:\n  secrets:\n    - { why: w, at: [a, b] }").unwrap();
        assert!(overrides.has("secrets", "a"));
        assert!(!overrides.has("secrets", "c"));
        assert!(overrides.all_used().unwrap_err().contains("secrets: b"));
        assert!(overrides.has("secrets", "b"));
        assert_eq!(overrides.all_used(), Ok(()));
    }
}
