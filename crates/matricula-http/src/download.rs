//! Writes a response to a file, and continues a partial one.

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

use crate::{
    FileStore, PartialFile,
    address::Address,
    builder::TransportConfig,
    error::{not_writable, too_large},
};

/// The bytes that an earlier attempt at the same request saved, and the ETag that they belong to.
#[derive(Debug)]
pub(crate) struct PartialDownload {
    file: File,
    length: u64,
    etag: HeaderValue,
}

impl PartialDownload {
    /// Finds the partial file of an earlier attempt at this job, if it can be continued.
    ///
    /// # Errors
    /// If another download is writing it.
    pub(crate) fn find(job: &Job, files: &dyn FileStore) -> Result<Option<Self>, TransportError> {
        let ResponseFormat::File(file) = job.response_format() else {
            return Ok(None);
        };
        match files.open_partial(file) {
            Ok(partial) => Ok(partial.and_then(|partial| Self::of_same_request(job, partial))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(TransportError {
                processed: Processed::No,
                ..busy(file, &error)
            }),
            // A partial file that cannot be read is downloaded again.
            Err(_) => Ok(None),
        }
    }

    fn of_same_request(job: &Job, partial: PartialFile) -> Option<Self> {
        let etag = partial.resume_token.strip_prefix(&fingerprint(job))?;
        let etag = HeaderValue::from_str(etag).ok()?;
        (partial.length > 0 && job.request_method() == Method::Get).then_some(Self {
            file: partial.file,
            length: partial.length,
            etag,
        })
    }

    /// Asks for the missing rest, or for the whole file if it has changed on the server.
    pub(crate) fn add_range(&self, headers: &mut HeaderMap) {
        if let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.length)) {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, self.etag.clone());
        }
    }

    /// The length of the whole file, if the response is the rest that was asked for, or a part of it
    /// that starts in the right place.
    fn total_if_continued_by(&self, headers: &HeaderMap) -> Option<u64> {
        let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
        let (part, total) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (start, end) = part.split_once('-')?;
        let end = end.parse::<u64>().ok()?.checked_add(1)?;
        // A response that was compressed on the way has no length here: it counts other bytes.
        let length = content_length(headers)?;
        let total = total.parse().ok().filter(|total| end <= *total)?;
        let is_next =
            start.parse() == Ok(self.length) && self.length.checked_add(length) == Some(end);
        (is_next && headers.get(ETAG) == Some(&self.etag)).then_some(total)
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Distinguishes requests, so that none continues the file of another. It holds no secret.
fn fingerprint(job: &Job) -> String {
    let mut hasher = DefaultHasher::new();
    (job.url(), job.request_query()).hash(&mut hasher);
    format!("{:016x} ", hasher.finish())
}

/// A response that is being written to a file. The file is replaced as a whole: until
/// [`commit`](Self::commit), its old content stays.
pub(crate) struct Download<'a> {
    config: &'a TransportConfig,
    file: &'a FileRef,
    address: Address,
    done: u64,
    total: Option<u64>,
    /// Whether the partial file stays if the download fails.
    keep_partial: bool,
    /// Holds the lock on the partial file; `None` while nothing is written yet.
    open: Option<File>,
}

impl<'a> Download<'a> {
    /// Starts a file, or continues a partial one. Also returns the file to write to.
    pub(crate) fn start(
        config: &'a TransportConfig,
        (job, file): (&Job, &'a FileRef),
        address: &Address,
        (status, headers): (StatusCode, &HeaderMap),
        partial: Option<PartialDownload>,
    ) -> Result<(Self, File), TransportError> {
        let mut download = Self {
            config,
            file,
            address: address.clone(),
            done: 0,
            total: content_length(headers),
            // Until it is opened, what is there belongs to an earlier download, or to none.
            keep_partial: true,
            open: None,
        };
        if status == StatusCode::PARTIAL_CONTENT {
            let total = partial
                .as_ref()
                .and_then(|partial| partial.total_if_continued_by(headers));
            let (Some(partial), Some(total)) = (partial, total) else {
                download.keep_partial = false;
                return Err(wrong_range(address));
            };
            download.done = partial.length;
            download.total = Some(total);
            download.check_length()?;
            download.lock(&partial.file)?;
            return Ok((download, partial.file));
        }
        download.check_length()?;
        // Its lock must be released before the file is created.
        drop(partial);
        let created = config
            .files
            .create(file)
            .map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => busy(file, &error),
                _ => not_writable(file, &error),
            })?;
        download.keep_partial = false;
        download.lock(&created)?;
        if let Some(token) = resume_token(job, headers) {
            let saved = config.files.save_resume_token(file, &token);
            download.keep_partial = saved.map_err(|error| not_writable(file, &error))?;
        }
        Ok((download, created))
    }

    fn lock(&mut self, file: &File) -> Result<(), TransportError> {
        let open = file.try_clone();
        self.open = Some(open.map_err(|error| self.write_failed(&error))?);
        Ok(())
    }

    /// A file that is announced as too large is refused before anything is written.
    fn check_length(&self) -> Result<(), TransportError> {
        let max = self.config.options.max_file_size;
        match self.total {
            Some(total) if total > max => Err(too_large(&self.address, max)),
            _ => Ok(()),
        }
    }

    /// Counts a piece that has been received, after decompression.
    pub(crate) fn received(&mut self, bytes: usize) -> Result<(), TransportError> {
        self.done += bytes as u64;
        let max = self.config.options.max_file_size;
        if self.done > max {
            self.keep_partial = false;
            return Err(too_large(&self.address, max));
        }
        self.config
            .progress
            .report(self.file, self.done, self.total);
        Ok(())
    }

    /// A piece could not be written.
    pub(crate) fn write_failed(&mut self, error: &io::Error) -> TransportError {
        self.keep_partial = false;
        not_writable(self.file, error)
    }

    /// The response has ended: moves the file into place.
    pub(crate) fn commit(mut self) -> Result<FileRef, TransportError> {
        if self.total.is_some_and(|total| self.done < total) {
            // The next attempt asks for the rest.
            return Err(interrupted(format!(
                "{} sent the file in parts",
                self.address.origin()
            )));
        }
        if self.has_other_length() {
            let other = io::Error::other("something else was written into it meanwhile");
            return Err(self.write_failed(&other));
        }
        let committed = self.config.files.commit(self.file);
        self.keep_partial = committed.is_ok();
        committed.map_err(|error| not_writable(self.file, &error))?;
        Ok(self.file.clone())
    }

    /// Whether the file does not have as many bytes as were received.
    fn has_other_length(&self) -> bool {
        let found = self.open.as_ref().map(File::metadata);
        let Some(Ok(found)) = found else {
            return false;
        };
        found.is_file() && found.len() != self.done
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        if !self.keep_partial {
            self.config.files.abort(self.file);
        }
    }
}

/// What a later attempt needs to continue this one: the request's fingerprint and the file's strong
/// ETag. `None` if the response has no length, as when it is compressed.
fn resume_token(job: &Job, headers: &HeaderMap) -> Option<String> {
    content_length(headers).filter(|_| job.request_method() == Method::Get)?;
    let etag = headers.get(ETAG)?.to_str().ok()?;
    etag.starts_with('"').then(|| fingerprint(job) + etag)
}

fn wrong_range(address: &Address) -> TransportError {
    interrupted(format!(
        "{} sent another part of the file than was asked for",
        address.origin()
    ))
}

fn busy(file: &FileRef, error: &io::Error) -> TransportError {
    interrupted(not_writable(file, error).message)
}

/// A failure that the next attempt may not have.
fn interrupted(message: String) -> TransportError {
    TransportError {
        kind: TransportErrorKind::ConnectionLost,
        processed: Processed::Maybe,
        message,
    }
}
