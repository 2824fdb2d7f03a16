//! Lowers tagged types: enums of several structs, where a field says which one it is.

use super::definitions;
use super::lower::Lower;
use super::model::{DEFINITIONS, Field, Item, Path, Struct, Tagged, Type, Variant, Wrapper};
use super::names::pascal;
use super::node_ref::{NodeRef, Owner, entries_at};
use super::spec::{Node, flag, text};
use super::type_names::stem;
use crate::Result;

/// One variant of a tagged type: the value of its tag, if it has one, and its schemas.
pub(crate) struct VariantSource<'a> {
    pub(crate) value: Option<String>,
    /// The key that only this variant has, if it has no tag.
    pub(crate) key: Option<String>,
    pub(crate) name: String,
    pub(crate) parts: Vec<NodeRef<'a>>,
}

/// Lowers the tagged types that take the place of a schema, except those that `is_content` names.
pub(crate) fn lower_definitions<'a>(
    lower: &mut Lower<'a>,
    is_content: impl Fn(&str) -> bool,
) -> Result<()> {
    let overrides = lower.overrides;
    let mut found = Vec::new();
    for (site, node) in overrides.all("tagged") {
        if !is_content(site) {
            found.extend(reserve_tagged(lower, site)?.map(|path| (path, node)));
        }
    }
    for (path, node) in found {
        let variants_found = definition_variants(lower, node)?;
        tagged_type(lower, &path, node, variants_found)?;
    }
    Ok(())
}

/// The variants that `definitions` describes.
pub(crate) fn definition_variants<'a>(
    lower: &mut Lower<'a>,
    node: &'a Node,
) -> Result<Vec<VariantSource<'a>>> {
    let mut variants_found = Vec::new();
    let of = entries_at(node, "of").map(|(value, name)| (Some(value), None, name.as_str()));
    let has = entries_at(node, "has").map(|(key, name)| (None, Some(key), name.as_str()));
    let other = [(None, None, text(node, "other"))];
    for (value, key, name) in of.chain(has).chain(other) {
        let name = name.ok_or("a tagged type does not name its variants")?;
        let at = lower.file(&definitions::file(name))?;
        let parts = lower.parts(&[at])?;
        let (value, key) = (value.map(str::to_owned), key.map(str::to_owned));
        variants_found.push(VariantSource {
            value,
            key,
            name: name.to_owned(),
            parts,
        });
    }
    Ok(variants_found)
}

/// Lowers a tagged type and its variants.
pub(crate) fn tagged_type<'a>(
    lower: &mut Lower<'a>,
    path: &Path,
    node: &'a Node,
    variants_found: Vec<VariantSource<'a>>,
) -> Result<()> {
    let owner = &path.name;
    let tag = text(node, "tag").ok_or_else(|| format!("{owner} has no tag"))?;
    let place = lower.module(&path.module).items.len();
    let path_of = |shape: &VariantSource<'_>| Path {
        module: path.module.clone(),
        name: shape.name.clone(),
    };
    for shape in &variants_found {
        lower.reserve(&path_of(shape));
    }
    let mut variants = Vec::new();
    for shape in variants_found {
        let path = path_of(&shape);
        if let [only] = shape.parts.as_slice() {
            lower.known.insert(only.key(), Type::Struct(path.clone()));
        }
        let doc = match (&shape.value, &shape.key) {
            (Some(value), _) => format!("`{value}`."),
            (None, Some(key)) => format!("No `{tag}`, but a field `{key}`."),
            (None, None) => format!("Any other `{tag}`."),
        };
        let single = shape.value.as_deref().map(|value| (tag, value));
        let words = format!("Variant of [`{owner}`]: {}", lower_first(&doc));
        object(lower, &shape.parts, &path, words, single)?;
        let content = path.name;
        variants.push(Variant {
            name: content
                .strip_suffix(last_word(owner))
                .unwrap_or(&content)
                .to_owned(),
            content,
            value: shape.value,
            key: shape.key,
            doc,
        });
    }
    let docs = text(node, "doc").unwrap_or_default();
    let shared = match text(node, "all") {
        Some(file) => {
            let at = lower.file(&definitions::file(file))?;
            lower
                .fields(&[at], &Owner::operation(&path.module, owner))?
                .0
        }
        None => Vec::new(),
    };
    let item = Item::Tagged(Tagged {
        name: owner.clone(),
        doc: format!("{docs} The field `{tag}` selects the variant."),
        tag: tag.to_owned(),
        lenient: flag(node, "lenient"),
        shared,
        variants,
    });
    lower.module(&path.module).items.insert(place, item);
    Ok(())
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

/// `Message` of `RoomMessage`.
pub(crate) fn last_word(name: &str) -> &str {
    let start = name.rfind(|c: char| c.is_ascii_uppercase());
    &name[start.unwrap_or_default()..]
}

/// Makes the schema at `site` known as a tagged type. Returns none if this API does not reach it.
fn reserve_tagged<'a>(lower: &mut Lower<'a>, site: &str) -> Result<Option<Path>> {
    let file = if site.contains('/') {
        format!("api/{site}")
    } else {
        definitions::file(site)
    };
    if !lower.spec.has(&file) {
        return Ok(None);
    }
    let at = lower.file(&file)?;
    let path = Path {
        module: DEFINITIONS.to_owned(),
        name: pascal(stem(&file)),
    };
    lower.known.insert(at.key(), Type::Enum(path.clone()));
    lower.reserve(&path);
    Ok(Some(path))
}

/// A struct of the fields of `parts`, or a wrapper if they are a map. `tag` names the field that is
/// constant in this variant, and its value.
pub(crate) fn object<'a>(
    lower: &mut Lower<'a>,
    parts: &[NodeRef<'a>],
    path: &Path,
    doc: String,
    tag: Option<(&str, &str)>,
) -> Result<()> {
    let place = lower.module(&path.module).items.len();
    let owner = Owner::operation(&path.module, &path.name);
    let name = path.name.clone();
    let has_fields = parts.iter().any(|part| {
        entries_at(part.node, "properties").next().is_some()
            || lower.overrides.get("fields", &part.site).is_some()
    });
    let item = if has_fields {
        let (mut fields, extra) = lower.fields(parts, &owner)?;
        for field in &mut fields {
            set_tag(lower, field, tag);
        }
        let new = Struct {
            name,
            doc,
            fields,
            extra,
        };
        let key = (path.module.clone(), path.name.clone());
        lower.structs.insert(key, new.clone());
        Item::Struct(new)
    } else {
        match lower.lower_map(parts, &owner)? {
            Type::Object => {
                let (fields, extra) = (Vec::new(), None);
                Item::Struct(Struct {
                    name,
                    doc,
                    fields,
                    extra,
                })
            }
            ty => Item::Wrapper(Wrapper { name, doc, ty }),
        }
    };
    lower.module(&path.module).items.insert(place, item);
    Ok(())
}

/// Makes the tag a constant.
fn set_tag(lower: &mut Lower<'_>, field: &mut Field, tag: Option<(&str, &str)>) {
    if let Some((_, value)) = tag.filter(|(key, _)| field.wire == *key) {
        let old = std::mem::replace(&mut field.ty, Type::Constant(value.to_owned()));
        field.required = true;
        if let Type::Enum(Path { module, name }) = old {
            let is_old = |item: &Item| matches!(item, Item::Enum(found) if found.name == name);
            lower.module(&module).items.retain(|item| !is_old(item));
        }
    }
}
