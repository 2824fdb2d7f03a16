//! The state of lowering one API.

use std::collections::BTreeMap;

use super::common::Lowered;
use super::model::{Module, Path, Struct, Type};
use super::node_ref::NodeRef;
use super::overrides::Overrides;
use super::spec::Spec;
use crate::Result;

/// Lowers the schemas of one API.
pub(crate) struct Lower<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) overrides: &'a Overrides,
    /// The directory of the API's files.
    pub(crate) dir: &'a str,
    /// By name.
    pub(crate) modules: BTreeMap<String, Module>,
    /// The type of each schema that was lowered, by its location in the data.
    pub(crate) known: BTreeMap<String, Type>,
    /// The generated structs, by module and name.
    pub(crate) structs: BTreeMap<(String, String), Struct>,
    /// The modules of files that have no module of their own.
    pub(crate) homes: BTreeMap<String, String>,
}

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

    /// The result, for the API `name`.
    pub(crate) fn into_lowered(self, name: &'static str) -> Lowered {
        Lowered {
            name,
            modules: self.modules,
            known: self.known,
        }
    }

    pub(crate) fn module(&mut self, name: &str) -> &mut Module {
        let module = self.modules.entry(name.to_owned());
        module.or_insert_with(|| Module {
            name: name.to_owned(),
            about: "Types that several operations share.".to_owned(),
            items: Vec::new(),
        })
    }

    pub(crate) fn struct_at(&self, path: &Path) -> Option<&Struct> {
        self.structs.get(&(path.module.clone(), path.name.clone()))
    }

    /// A whole file as a schema.
    pub(crate) fn file(&self, file: &str) -> Result<NodeRef<'a>> {
        let node = self.spec.root(file)?;
        let site = file.strip_prefix("api/").unwrap_or(file).to_owned();
        let (file, pointer) = (file.to_owned(), String::new());
        Ok(NodeRef {
            file,
            pointer,
            node,
            site,
        })
    }

    /// Reserves a name, so that no other type gets it.
    pub(crate) fn reserve(&mut self, path: &Path) {
        let key = (path.module.clone(), path.name.clone());
        let name = path.name.clone();
        let (doc, fields, extra) = (String::new(), Vec::new(), None);
        let empty = Struct {
            name,
            doc,
            fields,
            extra,
        };
        self.structs.entry(key).or_insert(empty);
    }
}
