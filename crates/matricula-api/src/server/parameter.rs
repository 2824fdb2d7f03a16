//! The parts of its request.

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameter {
    /// The JSON or parameter name; `body` for the whole body.
    pub name: &'static str,
    /// Its location.
    pub location: ParameterLocation,
    /// Its type.
    pub kind: ParameterType,
    /// Whether it is required.
    pub required: bool,
    /// Whether it is secret.
    pub secret: bool,
}

impl Parameter {
    /// A body that is a JSON value.
    pub const WHOLE_BODY: Self =
        Self::of("body", ParameterLocation::Body, ParameterType::Json).required();

    /// A body that is not JSON.
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

    /// A query parameter.
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

    /// Marks it as required.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Marks it as secret.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// The location of a part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterLocation {
    /// A segment of the path.
    Path,
    /// A query parameter.
    Query,
    /// A header.
    Header,
    /// The body, or a field of the JSON object in the body.
    Body,
}

/// The type of a part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterType {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list of strings.
    Texts,
    /// Further parameters with arbitrary names.
    Pairs,
    /// Any other JSON.
    Json,
    /// Bytes that are not JSON.
    Bytes,
}
