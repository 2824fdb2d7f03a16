//! What is generated, before it becomes Rust: modules of types and operations.

/// A Rust module: all that comes from one file of the specification, or what several share.
pub(crate) struct Module {
    /// The module's name.
    pub(crate) name: String,
    /// What it stems from, for its documentation.
    pub(crate) about: String,
    /// In the order in which they are needed.
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
                if let Reply::Json(ty) = &mut found.reply {
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
    /// The type of the values beside the fields, where the specification allows any.
    pub(crate) extra: Option<Type>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Enum {
    pub(crate) name: String,
    pub(crate) doc: String,
    /// Variant and text.
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
    /// Whether null says something else than absence.
    pub(crate) null_matters: bool,
    /// Whether what does not fit counts as absent, and stays beside the fields.
    pub(crate) lax: bool,
    /// Whether it is an empty list where it is absent, though it is required.
    pub(crate) may_lack: bool,
    /// What it is, in our own words, if the name alone does not tell.
    pub(crate) words: Option<String>,
    /// Units, versions and the like.
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
    /// A number that may be written as a text.
    Decimal,
    /// A time in milliseconds.
    Millis,
    /// A time in seconds.
    Seconds,
    /// An identifier of the crate's own.
    Id(&'static str),
    /// Any JSON.
    Value,
    /// Any JSON object.
    Object,
    /// JSON kept as text, of this type if it has one.
    Raw(Option<Box<Type>>),
    Nullable(Box<Type>),
    List(Box<Type>),
    /// A list that may hold what does not fit.
    LenientList(Box<Type>),
    /// Key and value.
    Map(Box<Type>, Box<Type>),
    StringOr(Box<Type>),
    /// A generated struct.
    Struct(Path),
    /// A generated enum.
    Enum(Path),
    /// Written by hand: its path, and where its secrets are.
    Hand(String, Vec<String>),
    /// This text alone, and so no field in Rust.
    Constant(String),
    /// An empty text says the same as absence.
    Filled(Box<Type>),
}

impl Type {
    fn paths_mut<'a>(&'a mut self, paths: &mut Vec<&'a mut Path>) {
        match self {
            Self::Struct(path) | Self::Enum(path) => paths.push(path),
            Self::Nullable(inner)
            | Self::List(inner)
            | Self::LenientList(inner)
            | Self::StringOr(inner)
            | Self::Filled(inner)
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
    pub(crate) reply: Reply,
    pub(crate) auth: String,
    pub(crate) rate_limited: bool,
    pub(crate) uia: bool,
    /// Whether guests may use it.
    pub(crate) guests: bool,
    pub(crate) since: Option<String>,
    pub(crate) deprecated: bool,
    pub(crate) retry: Option<String>,
    pub(crate) request_secrets: Vec<String>,
    pub(crate) response_secrets: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) place: Place,
    pub(crate) field: Field,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
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
    /// JSON that is one value.
    Whole(Type),
    /// An object of one field, which has the name that this parameter holds.
    Keyed(String),
    /// Not JSON.
    Bytes,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// JSON of this type.
    Json(Type),
    /// Not JSON.
    Content,
    /// No body, but a way elsewhere.
    Redirect,
}

/// One of several structs: which one, a field of all of them tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tagged {
    pub(crate) name: String,
    pub(crate) doc: String,
    /// The field that tells.
    pub(crate) tag: String,
    /// Whether what does not fit its shape is of the one for all others.
    pub(crate) lax: bool,
    /// Optional fields that all have.
    pub(crate) shared: Vec<Field>,
    pub(crate) variants: Vec<Variant>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) doc: String,
    /// What the tag holds.
    pub(crate) value: Option<String>,
    /// The field that tells where there is no tag; without both it is the variant for all others.
    pub(crate) key: Option<String>,
    /// The struct, in the same module.
    pub(crate) content: String,
}

/// A struct around a single type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wrapper {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) ty: Type,
}
