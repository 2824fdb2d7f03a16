//! Moves the types that several APIs share into the module `common`, so that each is emitted once.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{COMMON, DEFINITIONS, Item, Module, Path, Type};
use crate::Result;

/// The modules of one API.
pub(crate) struct Lowered {
    /// The API's module and feature.
    pub(crate) name: &'static str,
    pub(crate) modules: BTreeMap<String, Module>,
    /// The type of each schema, by the schema's place in the data.
    pub(crate) known: BTreeMap<String, Type>,
}

/// The module of the shared types, and the APIs that use it.
pub(crate) struct Common {
    pub(crate) module: Module,
    pub(crate) users: BTreeSet<&'static str>,
}

/// Moves each definition that at least two APIs have out of their modules.
pub(crate) fn extract(apis: &mut [Lowered]) -> Result<Common> {
    check_names(apis)?;
    let shared = shared(apis);
    let mut users = BTreeSet::new();
    let mut items: Vec<(&'static str, Item)> = Vec::new();
    for api in &mut *apis {
        let Some(module) = api.modules.get_mut(DEFINITIONS) else {
            continue;
        };
        let is_shared = |item: &Item| shared.contains(item.name());
        let (moved, rest): (Vec<Item>, _) = std::mem::take(&mut module.items)
            .into_iter()
            .partition(is_shared);
        module.items = rest;
        if module.items.is_empty() {
            api.modules.remove(DEFINITIONS);
        }
        for item in moved {
            users.insert(api.name);
            match items.iter().find(|(_, old)| old.name() == item.name()) {
                None => items.push((api.name, item)),
                Some((_, old)) if *old == item => {}
                Some((other, old)) => return Err(differs(other, old, api.name, &item)),
            }
        }
    }
    let mut module = Module {
        name: COMMON.to_owned(),
        about: "Types that several APIs share.".to_owned(),
        items: items.into_iter().map(|(_, item)| item).collect(),
    };
    let modules = apis.iter_mut().flat_map(|api| api.modules.values_mut());
    for path in modules
        .chain([&mut module])
        .flat_map(|module| &mut module.items)
        .flat_map(Item::paths_mut)
    {
        if path.module == DEFINITIONS && shared.contains(&path.name) {
            COMMON.clone_into(&mut path.module);
        }
    }
    check_closed(&mut module)?;
    Ok(Common { module, users })
}

/// The names that the `definitions` of at least two APIs have.
fn shared(apis: &[Lowered]) -> BTreeSet<String> {
    let mut once = BTreeSet::new();
    let mut shared = BTreeSet::new();
    for api in apis {
        for item in api
            .modules
            .get(DEFINITIONS)
            .iter()
            .flat_map(|module| &module.items)
        {
            if !once.insert(item.name()) {
                shared.insert(item.name().to_owned());
            }
        }
    }
    shared
}

/// Rejects a schema that two APIs give different names.
fn check_names(apis: &[Lowered]) -> Result<()> {
    let mut names: BTreeMap<&str, (&str, &Path)> = BTreeMap::new();
    for api in apis {
        for (place, ty) in &api.known {
            let (Type::Struct(path) | Type::Enum(path)) = ty else {
                continue;
            };
            if path.module != DEFINITIONS {
                continue;
            }
            let (other, first) = *names.entry(place).or_insert((api.name, path));
            if first.name != path.name {
                return Err(format!(
                    "{place} is `{}` in {other} and `{}` in {}: \
                     name it in the section `{COMMON}`, under `type_names` or `enums`",
                    first.name, path.name, api.name
                ));
            }
        }
    }
    Ok(())
}

/// Rejects a shared type that refers to a type of a single API.
fn check_closed(module: &mut Module) -> Result<()> {
    for item in &mut module.items {
        let name = item.name().to_owned();
        if let Some(path) = item
            .paths_mut()
            .into_iter()
            .find(|path| path.module != COMMON)
        {
            return Err(format!(
                "the shared type `{name}` refers to `{}::{}`, which only one API has",
                path.module, path.name
            ));
        }
    }
    Ok(())
}

fn differs(api: &str, item: &Item, other_api: &str, other: &Item) -> String {
    format!(
        "the definition `{}` of {api} differs from that of {other_api}: move the overrides for it to \
         the section `{COMMON}`, or give one another name\n{api}: {item:?}\n{other_api}: {other:?}",
        item.name()
    )
}
