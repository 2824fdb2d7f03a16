//! What a request or response carries.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The body of a request or response.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[doc(alias("EmptyBody", "JsonBody", "BytesBody", "FileDesc"))]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// JSON text.
    Json(String),
    /// The text of a form: `name=value&name=value`, percent-encoded.
    Form(String),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A file that whoever sends the job opens.
    File(FileRef),
}

impl Body {
    /// The JSON text of `value`.
    ///
    /// # Errors
    /// Where `value` has no JSON form, such as a map whose keys are not texts.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self::Json)
    }

    /// The form of these pairs.
    ///
    /// ```
    /// # use matricula_core::Body;
    /// let form = Body::form([("name", "a b"), ("to", "x&y")]);
    /// assert_eq!(form, Body::Form("name=a+b&to=x%26y".to_owned()));
    /// ```
    pub fn form<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut text = form_urlencoded::Serializer::new(String::new());
        Self::Form(text.extend_pairs(pairs).finish())
    }

    /// The media type that goes without saying, where it does.
    pub fn content_type(&self) -> Option<&str> {
        match self {
            Self::Empty | Self::Bytes(_) => None,
            Self::Json(_) => Some("application/json"),
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
            Self::File(file) => file.content_type.as_deref(),
        }
    }

    /// The bytes held here, without a copy; none for [`Body::Empty`] and for a file.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Empty | Self::File(_) => Vec::new(),
            Self::Json(text) | Self::Form(text) => text.into_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The bytes held here; empty for [`Body::Empty`] and for a file, which only its opener can read.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Empty | Self::File(_) => &[],
            Self::Json(text) | Self::Form(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Body {
    // A body may hold secrets, and what holds them depends on the operation: only lengths here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Json(text) => write!(f, "Json({} bytes)", text.len()),
            Self::Form(text) => write!(f, "Form({} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::File(file) => write!(f, "File({:?})", file.path),
        }
    }
}

/// Names a file to be sent or to be written, without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileRef {
    /// Where it is, in the terms of whoever opens it.
    pub path: PathBuf,
    /// Its media type, such as `image/png`.
    pub content_type: Option<String>,
}

impl FileRef {
    /// The file at `path`, of unknown type.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            content_type: None,
        }
    }

    /// The same file, of this media type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }
}
