//! The intermediate representation: modules of types and operations, before they are written as Rust.

/// A Rust module: the types and operations of one file of the specification, or those that several files share.
pub(crate) struct Module {
    /// The module's name.
    pub(crate) name: String,
    /// The first line of its documentation.
    pub(crate) about: String,
    /// In the order in which they are written.
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Operation(Box<Operation>),
    Struct(Struct),
    Enum(Enum),
    Tagged(Tagged),
    Wrapper(Wrapper),
}

impl Item {
    /// The name of the type in Rust.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Operation(found) => &found.name,
            Self::Struct(found) => &found.name,
            Self::Enum(found) => &found.name,
            Self::Tagged(found) => &found.name,
            Self::Wrapper(found) => &found.name,
        }
    }

    /// Every reference from this item to another generated type.
    pub(crate) fn paths_mut(&mut self) -> Vec<&mut Path> {
        let mut paths = Vec::new();
        match self {
            Self::Operation(found) => {
                for parameter in &mut found.parameters {
                    parameter.field.ty.paths_mut(&mut paths);
                }
                match &mut found.body {
                    RequestBody::Fields(fields) => fields_paths_mut(fields, &mut paths),
                    RequestBody::Whole(ty) => ty.paths_mut(&mut paths),
                    _ => {}
                }
                if let ResponseBody::Json(ty) = &mut found.response {
                    ty.paths_mut(&mut paths);
                }
            }
            Self::Struct(found) => {
                fields_paths_mut(&mut found.fields, &mut paths);
                if let Some(ty) = &mut found.extra {
                    ty.paths_mut(&mut paths);
                }
            }
            Self::Enum(_) => {}
            Self::Tagged(found) => fields_paths_mut(&mut found.shared, &mut paths),
            Self::Wrapper(found) => found.ty.paths_mut(&mut paths),
        }
        paths
    }
}

fn fields_paths_mut<'a>(fields: &'a mut [Field], paths: &mut Vec<&'a mut Path>) {
    for field in fields {
        field.ty.paths_mut(paths);
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) fields: Vec<Field>,
    /// The type of additional fields, where the specification allows them.
    pub(crate) extra: Option<Type>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Enum {
    pub(crate) name: String,
    pub(crate) doc: String,
    /// Variant and string.
    pub(crate) values: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    /// The name on the wire.
    pub(crate) wire: String,
    /// The name in Rust.
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) required: bool,
    /// Whether null and absence differ.
    pub(crate) null_matters: bool,
    /// Whether a required list or map is read as empty if it is missing or invalid.
    pub(crate) missing_as_empty: bool,
    /// Our own documentation, where the name says too little.
    pub(crate) docs: Option<String>,
    /// Unit, version and deprecation.
    pub(crate) facts: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Bool,
    Unsigned,
    Signed,
    Float,
    Text,
    Secret,
    Timestamp,
    /// A number that may be sent as a string.
    Decimal,
    /// A whole number that may be sent as a string.
    Digits,
    /// A time in milliseconds.
    Millis,
    /// A time in seconds.
    Seconds,
    /// An identifier type of the API crate.
    Id(&'static str),
    /// Any JSON.
    Value,
    /// Any JSON object.
    Object,
    /// Raw JSON, of this type if it has one.
    Raw(Option<Box<Type>>),
    Nullable(Box<Type>),
    List(Box<Type>),
    /// A list that a server sends: it may hold invalid items.
    LenientList(Box<Type>),
    /// Key and value.
    Map(Box<Type>, Box<Type>),
    StringOr(Box<Type>),
    /// A generated struct.
    Struct(Path),
    /// A generated enum.
    Enum(Path),
    /// A hand-written type: its path, and the JSON pointers of its secrets.
    HandWritten(String, Vec<String>),
    /// A constant string, which is not a field in Rust.
    Constant(String),
    /// An empty string is read as absent.
    NonEmpty(Box<Type>),
}

impl Type {
    fn paths_mut<'a>(&'a mut self, paths: &mut Vec<&'a mut Path>) {
        match self {
            Self::Struct(path) | Self::Enum(path) => paths.push(path),
            Self::Nullable(inner)
            | Self::List(inner)
            | Self::LenientList(inner)
            | Self::StringOr(inner)
            | Self::NonEmpty(inner)
            | Self::Raw(Some(inner)) => inner.paths_mut(paths),
            Self::Map(key, value) => {
                key.paths_mut(paths);
                value.paths_mut(paths);
            }
            _ => {}
        }
    }
}

/// The module and name of a generated type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) module: String,
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    pub(crate) id: String,
    /// The request's name in Rust.
    pub(crate) name: String,
    pub(crate) method: String,
    /// With `{parameters}` in braces.
    pub(crate) path: String,
    pub(crate) doc: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: RequestBody,
    pub(crate) response: ResponseBody,
    pub(crate) auth: String,
    pub(crate) rate_limited: bool,
    pub(crate) uia: bool,
    /// Whether guest accounts may use it.
    pub(crate) guests: bool,
    pub(crate) since: Option<String>,
    pub(crate) deprecated: bool,
    pub(crate) retry: Option<String>,
    pub(crate) request_secrets: Vec<String>,
    pub(crate) response_secrets: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) location: ParameterLocation,
    pub(crate) field: Field,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ParameterLocation {
    Path,
    Query,
    Header,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RequestBody {
    /// Nothing is sent.
    None,
    /// `{}` is sent.
    Empty,
    /// An object of these fields.
    Fields(Vec<Field>),
    /// A JSON value of this type.
    Whole(Type),
    /// An object of one field, whose name is the value of this path parameter.
    Keyed(String),
    /// Not JSON.
    Bytes,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ResponseBody {
    /// JSON of this type.
    Json(Type),
    /// Not JSON.
    Content,
    /// A redirect without a body.
    Redirect,
}

/// An enum of several structs, where a field says which one it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tagged {
    pub(crate) name: String,
    pub(crate) doc: String,
    /// The field that selects the variant.
    pub(crate) tag: String,
    /// Whether an object that does not match its variant is read as the catch-all variant.
    pub(crate) lenient: bool,
    /// Optional fields that all variants have.
    pub(crate) shared: Vec<Field>,
    pub(crate) variants: Vec<Variant>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) doc: String,
    /// The value of the tag.
    pub(crate) value: Option<String>,
    /// The field that selects this variant if there is no tag. Without both, it is the catch-all variant.
    pub(crate) key: Option<String>,
    /// The struct, in the same module.
    pub(crate) content: String,
}

/// The module of types that several files share.
pub(crate) const DEFINITIONS: &str = "definitions";

/// The module of the shared types, and the section of `overrides.yaml` that applies to all APIs.
pub(crate) const COMMON: &str = "common";

/// A struct around a single type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wrapper {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) ty: Type,
}
