//! An answer that is being written to a file, begun anew or gone on with.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io,
};

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE},
};
use matricula_core::{
    FileRef, Job, Method, Processed, ResponseFormat, TransportError, TransportErrorKind,
};
use url::Url;

use crate::{
    FileStore, HttpOptions, PartialFile,
    error::{host_of, too_long, unwritten},
    progress::Listener,
};

/// What came of the same request before, and how the server knows its own state of then.
#[derive(Debug)]
pub(crate) struct Before {
    file: File,
    length: u64,
    tag: HeaderValue,
}

impl Before {
    /// What an earlier attempt left of this job's file, if it can be gone on with.
    ///
    /// # Errors
    /// Where another is being written there.
    pub(crate) fn of(job: &Job, files: &dyn FileStore) -> Result<Option<Self>, TransportError> {
        let ResponseFormat::File(file) = job.response_format() else {
            return Ok(None);
        };
        match files.open_partial(file) {
            Ok(begun) => Ok(begun.and_then(|begun| Self::of_the_same(job, begun))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(TransportError {
                processed: Processed::No,
                ..busy(file, &error)
            }),
            // What cannot be read is begun anew.
            Err(_) => Ok(None),
        }
    }

    fn of_the_same(
        job: &Job,
        PartialFile {
            file,
            length,
            resume_token: note,
        }: PartialFile,
    ) -> Option<Self> {
        let tag = note.strip_prefix(&name_of(job))?;
        let tag = HeaderValue::from_str(tag).ok()?;
        (length > 0 && job.request_method() == Method::Get).then_some(Self { file, length, tag })
    }

    /// Asks for the rest alone, and for all of it where the server has another state of it now.
    pub(crate) fn ask(&self, headers: &mut HeaderMap) {
        if let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.length)) {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, self.tag.clone());
        }
    }

    /// How long the whole is, where the answer is the rest that was asked for, or the next part of it.
    fn goes_on_with(&self, headers: &HeaderMap) -> Option<u64> {
        let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
        let (part, total) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (start, end) = part.split_once('-')?;
        let end = end.parse::<u64>().ok()?.checked_add(1)?;
        // One that is compressed on the way is not counted in the file's bytes, and has no length here.
        let length = length_of(headers)?;
        let total = total.parse().ok().filter(|total| end <= *total)?;
        let is_next =
            start.parse() == Ok(self.length) && self.length.checked_add(length) == Some(end);
        (is_next && headers.get(ETAG) == Some(&self.tag)).then_some(total)
    }
}

fn length_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Tells requests apart, so that one is not gone on with another's file. It holds no secret.
fn name_of(job: &Job) -> String {
    let mut hasher = DefaultHasher::new();
    (job.url(), job.request_query()).hash(&mut hasher);
    format!("{:016x} ", hasher.finish())
}

/// An answer that is being written to a file. Old or new, never half: whatever ends this before it is
/// [kept](Self::keep) leaves the file as it was.
pub(crate) struct Download<'a> {
    files: &'a dyn FileStore,
    file: &'a FileRef,
    listener: &'a Listener,
    done: u64,
    total: Option<u64>,
    /// What came stays, to be gone on with.
    stays: bool,
    /// Open for as long as nobody else is to write there; none where nothing is written yet.
    open: Option<File>,
}

impl<'a> Download<'a> {
    /// Begins it, or goes on with what came before. Gives what is to be written to.
    pub(crate) fn begin(
        (files, listener): (&'a dyn FileStore, &'a Listener),
        (job, file): (&Job, &'a FileRef),
        url: &Url,
        (status, headers): (StatusCode, &HeaderMap),
        before: Option<Before>,
    ) -> Result<(Self, File), TransportError> {
        let mut download = Self {
            files,
            file,
            listener,
            done: 0,
            total: length_of(headers),
            stays: false,
            open: None,
        };
        if status == StatusCode::PARTIAL_CONTENT {
            let total = before
                .as_ref()
                .and_then(|before| before.goes_on_with(headers));
            let (Some(before), Some(total)) = (before, total) else {
                return Err(not_the_rest(url));
            };
            download.done = before.length;
            download.total = Some(total);
            download.stays = true;
            download.hold(&before.file)?;
            return Ok((download, before.file));
        }
        drop(before);
        let created = files.create(file).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                // What is there is another's.
                download.stays = true;
                busy(file, &error)
            }
            _ => unwritten(file, &error),
        })?;
        download.hold(&created)?;
        if let Some(note) = note_of(job, headers) {
            let noted = files.save_resume_token(file, &note);
            download.stays = noted.map_err(|error| unwritten(file, &error))?;
        }
        Ok((download, created))
    }

    fn hold(&mut self, file: &File) -> Result<(), TransportError> {
        let open = file.try_clone();
        self.open = Some(open.map_err(|error| self.unwritten(&error))?);
        Ok(())
    }

    /// So many bytes more have come.
    pub(crate) fn came(
        &mut self,
        bytes: usize,
        url: &Url,
        options: &HttpOptions,
    ) -> Result<(), TransportError> {
        self.done += bytes as u64;
        if self.done > options.max_file_size {
            self.stays = false;
            return Err(too_long(url, options.max_file_size));
        }
        self.listener.tell(self.file, self.done, self.total);
        Ok(())
    }

    /// They could not be written.
    pub(crate) fn unwritten(&mut self, error: &io::Error) -> TransportError {
        self.stays = false;
        unwritten(self.file, error)
    }

    /// The answer has come whole.
    pub(crate) fn keep(mut self, url: &Url) -> Result<(), TransportError> {
        if self.total.is_some_and(|total| self.done < total) {
            // The next attempt asks for what is left.
            return Err(cut(format!("{} sent the file in parts", host_of(url))));
        }
        if self.is_mixed_up() {
            let other = io::Error::other("something else was written into it meanwhile");
            return Err(self.unwritten(&other));
        }
        let kept = self.files.commit(self.file);
        self.stays = kept.is_ok();
        kept.map_err(|error| unwritten(self.file, &error))
    }

    /// Whether there is more or less in the file than came.
    fn is_mixed_up(&self) -> bool {
        let found = self.open.as_ref().map(File::metadata);
        let Some(Ok(found)) = found else {
            return false;
        };
        found.is_file() && found.len() != self.done
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        if !self.stays {
            self.files.abort(self.file);
        }
    }
}

/// How the server can go on with it: where it says in which state the file is, byte by byte, and how
/// long, which it does not where it compresses.
fn note_of(job: &Job, headers: &HeaderMap) -> Option<String> {
    length_of(headers).filter(|_| job.request_method() == Method::Get)?;
    let tag = headers.get(ETAG)?.to_str().ok()?;
    tag.starts_with('"').then(|| name_of(job) + tag)
}

fn not_the_rest(url: &Url) -> TransportError {
    cut(format!(
        "{} sent another part of the file than was asked for",
        host_of(url)
    ))
}

fn busy(file: &FileRef, error: &io::Error) -> TransportError {
    cut(unwritten(file, error).message)
}

/// What may go better the next time.
fn cut(message: String) -> TransportError {
    TransportError {
        kind: TransportErrorKind::ConnectionLost,
        processed: Processed::Maybe,
        message,
    }
}
