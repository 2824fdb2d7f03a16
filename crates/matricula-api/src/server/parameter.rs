//! What a request is made of.

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameter {
    /// Its name on the wire; `body` where it is the whole body.
    pub name: &'static str,
    /// Where it goes.
    pub location: ParameterLocation,
    /// What it looks like.
    pub kind: ParameterType,
    /// Whether a request needs it.
    pub required: bool,
    /// Whether it must not be seen.
    pub secret: bool,
}

impl Parameter {
    /// A body that is one JSON value.
    pub const WHOLE_BODY: Self =
        Self::of("body", ParameterLocation::Body, ParameterType::Json).required();

    /// A body that is no JSON.
    pub const BYTES: Self =
        Self::of("body", ParameterLocation::Body, ParameterType::Bytes).required();

    const fn of(name: &'static str, location: ParameterLocation, kind: ParameterType) -> Self {
        Self {
            name,
            location,
            kind,
            required: false,
            secret: false,
        }
    }

    /// A segment of the path.
    pub const fn path(name: &'static str, shape: ParameterType) -> Self {
        Self::of(name, ParameterLocation::Path, shape)
    }

    /// A pair of the query.
    pub const fn query(name: &'static str, shape: ParameterType) -> Self {
        Self::of(name, ParameterLocation::Query, shape)
    }

    /// A header.
    pub const fn header(name: &'static str, shape: ParameterType) -> Self {
        Self::of(name, ParameterLocation::Header, shape)
    }

    /// A field of the JSON object in the body.
    pub const fn body(name: &'static str, shape: ParameterType) -> Self {
        Self::of(name, ParameterLocation::Body, shape)
    }

    /// The same, needed.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same, not to be seen.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// Where a part of a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterLocation {
    /// A segment of the path.
    Path,
    /// A pair of the query.
    Query,
    /// A header.
    Header,
    /// The body or, if that is an object of named fields, one of them.
    Body,
}

/// What a part of a request looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterType {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// Several texts.
    Texts,
    /// Pairs whose names are free.
    Pairs,
    /// Any other JSON.
    Json,
    /// Bytes that are no JSON.
    Bytes,
}
