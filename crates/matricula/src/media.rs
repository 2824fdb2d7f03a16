//! Uploading files, and the content type that a file name suggests.

use std::path::Path;

use matricula_api::{MxcUri, client::content_repo::UploadContent};
use matricula_core::{Body, FileRef};

use crate::{
    Error, Session,
    future::{BoxFuture, boxed},
};

impl Session {
    /// Uploads a file, and returns its address for messages and avatars. The content type is the one
    /// that the file name [suggests](content_type); the name is sent too.
    ///
    /// The file is streamed. For another content type, or for bytes in memory, call
    /// [`UploadContent`](matricula_api::client::content_repo::UploadContent).
    ///
    /// ```
    /// # use matricula_homeserver::{Config, Server, ServerOptions};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let homeserver = Server::start(ServerOptions::new(Config::default())).await?;
    /// # let session = matricula::register(homeserver.url().as_str()).await?;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("notes.txt");
    /// # std::fs::write(&path, "milk, eggs")?;
    /// let uri = session.upload(&path).await?;
    /// println!("{uri}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the file cannot be read, or the server refuses it, for example because of its size.
    pub async fn upload(&self, path: impl AsRef<Path>) -> Result<MxcUri, Error> {
        self.upload_file(path.as_ref()).await
    }

    fn upload_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<MxcUri, Error>> {
        boxed(async move {
            let mut upload = UploadContent::new(Body::File(FileRef::new(path)));
            upload.content_type = Some(content_type(path).to_owned());
            upload.filename = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            Ok(self.call(upload).await?.content_uri)
        })
    }
}

const UNKNOWN: &str = "application/octet-stream";

/// Content types by file name extension, which is in lower case.
const TYPES: [(&str, &str); 42] = [
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("apng", "image/apng"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("heic", "image/heic"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ics", "text/calendar"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("jxl", "image/jxl"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// The content type that the extension of a file name suggests; `application/octet-stream` if the
/// extension is not known.
pub fn content_type(file: impl AsRef<Path>) -> &'static str {
    type_of(file.as_ref())
}

fn type_of(file: &Path) -> &'static str {
    let extension = file.extension().unwrap_or_default();
    let extension = extension.to_string_lossy().to_ascii_lowercase();
    let found = TYPES.iter().find(|(known, _)| *known == extension);
    found.map_or(UNKNOWN, |(_, content_type)| content_type)
}
