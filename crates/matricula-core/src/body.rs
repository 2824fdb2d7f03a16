//! The body of a request or response.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::Utf8Error,
};

use serde::{Deserialize, Serialize};

/// The body of a request or response.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[doc(alias("EmptyBody", "JsonBody", "BytesBody", "isBodyJson"))]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// JSON text.
    Json(String),
    /// An HTML form: `name=value&name=value`, percent-encoded.
    Form(String),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A file, opened by the runner.
    File(FileRef),
}

impl Body {
    /// The JSON text of `value`.
    ///
    /// # Errors
    /// If `value` has no JSON form, such as a map whose keys are not strings.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self::Json)
    }

    /// A form of these pairs.
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

    /// The media type, if the kind of body implies one.
    pub fn content_type(&self) -> Option<&str> {
        match self {
            Self::Empty | Self::Bytes(_) => None,
            Self::Json(_) => Some("application/json"),
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
            Self::File(file) => file.content_type.as_deref(),
        }
    }

    /// The bytes, without a copy; empty for [`Body::Empty`] and for a file.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Empty | Self::File(_) => Vec::new(),
            Self::Json(text) | Self::Form(text) => text.into_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The bytes; empty for [`Body::Empty`] and for a file.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Empty | Self::File(_) => &[],
            Self::Json(text) | Self::Form(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The bytes as text, without the byte order mark that some editors write before it.
    ///
    /// # Errors
    /// If they are not UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        let text = match self {
            Self::Json(text) | Self::Form(text) => text,
            body => str::from_utf8(body.as_bytes())?,
        };
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }
}

impl fmt::Debug for Body {
    // A body may hold secrets, and which parts do depends on the operation. So only lengths are shown.
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

/// Names a file to send or to write, without opening it.
#[doc(alias = "FileDesc")]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileRef {
    /// The path, as the runner resolves it.
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

impl<P: AsRef<Path> + ?Sized> From<&P> for FileRef {
    fn from(path: &P) -> Self {
        Self::new(path.as_ref())
    }
}

impl From<PathBuf> for FileRef {
    fn from(path: PathBuf) -> Self {
        Self::new(path)
    }
}

impl From<String> for FileRef {
    fn from(path: String) -> Self {
        Self::new(path)
    }
}

impl From<FileRef> for Body {
    fn from(file: FileRef) -> Self {
        Self::File(file)
    }
}
