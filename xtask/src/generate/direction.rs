//! Which types a server sends, and what follows from it: there, one invalid part must not make the rest
//! unreadable. `docs/api.md` has the rules.

use std::collections::{BTreeMap, BTreeSet};

use super::EVENTS;
use super::common::Lowered;
use super::model::{COMMON, Item, Module, Path, RequestBody, ResponseBody, Struct, Type};

/// The APIs in which a homeserver sends the requests.
const SENT_BY_HOMESERVERS: [&str; 2] = ["appservice", "push"];

/// An item: the API (or [`COMMON`]), the module and the name.
type Place = (String, String, String);

/// What the types of all APIs refer to.
#[derive(Default)]
struct Graph {
    /// The items that an item refers to, and whether only as unparsed JSON.
    references: BTreeMap<Place, Vec<(Place, bool)>>,
    /// What servers send.
    sent: Vec<(Place, bool)>,
    /// What clients send.
    received: Vec<(Place, bool)>,
    /// The types that are a whole response.
    responses: BTreeSet<Place>,
}

/// Changes the types that servers send.
pub(crate) fn apply(apis: &mut [Lowered], common: &mut Module) {
    let mut graph = Graph::default();
    for api in &*apis {
        for module in api.modules.values() {
            for item in &module.items {
                graph.add(api.name, &module.name, item);
            }
        }
    }
    for item in &common.items {
        graph.add(COMMON, COMMON, item);
    }
    let sent = graph.reachable(&graph.sent, true);
    // A server does not read unparsed JSON.
    let received = graph.reachable(&graph.received, false);
    let change = |api: &str, module: &mut Module| {
        for item in &mut module.items {
            let place = place(api, &module.name, item.name());
            if let Item::Operation(found) = item {
                if let ResponseBody::Json(ty) = &mut found.response {
                    make_lists_lenient(ty);
                }
            } else if sent.contains(&place) {
                let is_response = graph.responses.contains(&place);
                change_item(item, is_response, received.contains(&place));
            }
        }
    };
    for api in apis {
        for module in api.modules.values_mut() {
            change(api.name, module);
        }
    }
    change(COMMON, common);
}

fn place(api: &str, module: &str, name: &str) -> Place {
    let api = if module == COMMON { COMMON } else { api };
    (api.to_owned(), module.to_owned(), name.to_owned())
}

impl Graph {
    fn add(&mut self, api: &str, module: &str, item: &Item) {
        let mut found = Vec::new();
        let mut add = |ty: &Type| {
            paths(ty, false, &mut |path, is_raw| {
                found.push((place(api, &path.module, &path.name), is_raw));
            })
        };
        match item {
            Item::Operation(operation) => {
                for parameter in &operation.parameters {
                    add(&parameter.field.ty);
                }
                match &operation.body {
                    RequestBody::Fields(fields) => fields.iter().for_each(|field| add(&field.ty)),
                    RequestBody::Whole(ty) => add(ty),
                    _ => {}
                }
                if SENT_BY_HOMESERVERS.contains(&api) {
                    self.sent.append(&mut found);
                } else {
                    self.received.append(&mut found);
                }
                if let ResponseBody::Json(ty) = &operation.response {
                    if let Type::Struct(path) = ty {
                        self.responses.insert(place(api, &path.module, &path.name));
                    }
                    paths(ty, false, &mut |path, is_raw| {
                        self.sent
                            .push((place(api, &path.module, &path.name), is_raw));
                    });
                }
                return;
            }
            Item::Struct(object) => {
                object.fields.iter().for_each(|field| add(&field.ty));
                object.extra.iter().for_each(&mut add);
            }
            Item::Enum(_) => {}
            Item::Tagged(tagged) => {
                let contents = tagged.variants.iter().map(|variant| &variant.content);
                found.extend(contents.map(|content| (place(api, module, content), false)));
            }
            Item::Wrapper(wrapper) => add(&wrapper.ty),
        }
        let own = place(api, module, item.name());
        if api == EVENTS {
            self.sent.push((own.clone(), false));
        }
        self.references.insert(own, found);
    }

    /// The items that can be reached from these.
    fn reachable(&self, roots: &[(Place, bool)], through_raw: bool) -> BTreeSet<Place> {
        let mut found = BTreeSet::new();
        let mut left: Vec<&(Place, bool)> = roots.iter().collect();
        while let Some((place, is_raw)) = left.pop() {
            if (through_raw || !is_raw) && found.insert(place.clone()) {
                left.extend(self.references.get(place).into_iter().flatten());
            }
        }
        found
    }
}

/// Each generated type in `ty`, and whether it is unparsed JSON.
fn paths(ty: &Type, is_raw: bool, add: &mut dyn FnMut(&Path, bool)) {
    match ty {
        Type::Struct(path) | Type::Enum(path) => add(path, is_raw),
        Type::Raw(Some(of)) => paths(of, true, add),
        Type::Nullable(of)
        | Type::List(of)
        | Type::LenientList(of)
        | Type::StringOr(of)
        | Type::NonEmpty(of) => paths(of, is_raw, add),
        Type::Map(key, value) => {
            paths(key, is_raw, add);
            paths(value, is_raw, add);
        }
        _ => {}
    }
}

fn change_item(item: &mut Item, is_response: bool, is_received: bool) {
    match item {
        Item::Struct(object) => change_struct(object, is_response, is_received),
        Item::Tagged(tagged) => {
            tagged
                .shared
                .iter_mut()
                .for_each(|field| make_lists_lenient(&mut field.ty));
        }
        Item::Wrapper(wrapper) => make_lists_lenient(&mut wrapper.ty),
        Item::Enum(_) | Item::Operation(_) => {}
    }
}

fn change_struct(object: &mut Struct, is_response: bool, is_received: bool) {
    let fields = object.fields.iter_mut().map(|field| &mut field.ty);
    fields.chain(&mut object.extra).for_each(make_lists_lenient);
    let required = |is: fn(&Type) -> bool| {
        let fields = object.fields.iter();
        fields
            .filter(|field| field.required && is(&field.ty))
            .count()
    };
    // With one of these, something is left of the object without its other fields.
    let has_anchor = required(is_anchor) > 0;
    let collections = required(is_collection);
    // Of a response without anything else, an empty one would say something: no rooms are joined.
    let may_be_empty = has_anchor || !is_response || collections > 1;
    for field in object.fields.iter_mut().filter(|field| field.required) {
        match &field.ty {
            ty if is_collection(ty) => field.missing_as_empty |= may_be_empty,
            ty if is_scalar(ty) && !is_received => field.required = !has_anchor && collections == 0,
            _ => {}
        }
    }
}

fn is_collection(ty: &Type) -> bool {
    matches!(ty, Type::List(_) | Type::LenientList(_) | Type::Map(..))
}

fn is_scalar(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Bool
            | Type::Unsigned
            | Type::Signed
            | Type::Float
            | Type::Decimal
            | Type::Digits
            | Type::Timestamp
            | Type::Millis
            | Type::Seconds
    )
}

/// Whether a field says what the object is: a text, an identifier or an object.
fn is_anchor(ty: &Type) -> bool {
    !is_collection(ty) && !is_scalar(ty)
}

/// Unparsed JSON is always valid.
fn make_lists_lenient(ty: &mut Type) {
    match ty {
        Type::List(of) if matches!(**of, Type::Raw(_)) => {}
        Type::List(of) => {
            make_lists_lenient(of);
            let of = std::mem::replace(of, Box::new(Type::Bool));
            *ty = Type::LenientList(of);
        }
        Type::Nullable(of) | Type::LenientList(of) | Type::StringOr(of) | Type::NonEmpty(of) => {
            make_lists_lenient(of);
        }
        Type::Map(_, value) => make_lists_lenient(value),
        _ => {}
    }
}
