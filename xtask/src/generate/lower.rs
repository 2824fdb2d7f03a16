//! What is known while the schemas of one API are lowered.

use std::collections::BTreeMap;

use super::model::{Module, Path, Struct, Type};
use super::overrides::Overrides;
use super::spec::Spec;

/// Lowers the schemas of one API.
pub(crate) struct Lower<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) overrides: &'a Overrides,
    /// Where the API's files are.
    pub(crate) dir: &'a str,
    /// By name.
    pub(crate) modules: BTreeMap<String, Module>,
    /// Types that exist already, by the place in the data that they stem from.
    pub(crate) known: BTreeMap<String, Type>,
    /// The generated structs, by module and name.
    pub(crate) structs: BTreeMap<(String, String), Struct>,
    /// The modules of files that do not have one of their own.
    pub(crate) homes: BTreeMap<String, String>,
}

/// The module of what several files share.
pub(crate) const DEFINITIONS: &str = "definitions";

impl<'a> Lower<'a> {
    pub(crate) fn new(spec: &'a Spec, overrides: &'a Overrides, dir: &'a str) -> Self {
        Self {
            spec,
            overrides,
            dir,
            modules: BTreeMap::new(),
            known: BTreeMap::new(),
            structs: BTreeMap::new(),
            homes: BTreeMap::new(),
        }
    }

    pub(crate) fn module(&mut self, name: &str) -> &mut Module {
        let module = self.modules.entry(name.to_owned());
        module.or_insert_with(|| Module {
            name: name.to_owned(),
            about: "Definitions that several operations share.".to_owned(),
            items: Vec::new(),
        })
    }

    pub(crate) fn struct_at(&self, path: &Path) -> Option<&Struct> {
        self.structs.get(&(path.module.clone(), path.name.clone()))
    }
}
