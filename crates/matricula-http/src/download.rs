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
use matricula_job::{FileDesc, Job, Method, Processed, ReturnType, TransportError, TransportKind};
use url::Url;

use crate::{
    Begun, FileSource, Options,
    address::host_of,
    failure::{too_long, unwritten},
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
    pub(crate) fn of(job: &Job, files: &dyn FileSource) -> Option<Self> {
        let ReturnType::File(file) = job.return_type() else {
            return None;
        };
        // What cannot be read is begun anew.
        let Begun { file, length, note } = files.begun(file).ok().flatten()?;
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

    /// Whether the answer is the rest that was asked for.
    fn goes_on_with(&self, headers: &HeaderMap) -> bool {
        let range = headers.get(CONTENT_RANGE).and_then(|it| it.to_str().ok());
        let range = range.and_then(|range| range.strip_prefix("bytes "));
        let Some((start, rest)) = range.and_then(|range| range.split_once('-')) else {
            return false;
        };
        // One that is compressed on the way is not counted in the file's bytes, and has no length here.
        let (Some((end, _)), Some(length)) = (rest.split_once('/'), length_of(headers)) else {
            return false;
        };
        let same = headers.get(ETAG).is_none_or(|tag| *tag == self.tag);
        let end = end.parse::<u64>().ok().and_then(|end| end.checked_add(1));
        same && start.parse() == Ok(self.length) && end == self.length.checked_add(length)
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
    files: &'a dyn FileSource,
    file: &'a FileDesc,
    listener: &'a Listener,
    done: u64,
    total: Option<u64>,
    /// What came stays, to be gone on with.
    stays: bool,
}

impl<'a> Download<'a> {
    /// Begins it, or goes on with what came before. Gives what is to be written to.
    pub(crate) fn begin(
        (files, listener): (&'a dyn FileSource, &'a Listener),
        (job, file): (&Job, &'a FileDesc),
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
        };
        if status == StatusCode::PARTIAL_CONTENT {
            let before = before.filter(|before| before.goes_on_with(headers));
            let before = before.ok_or_else(|| not_the_rest(url))?;
            download.done = before.length;
            download.total = download.total.map(|rest| rest + before.length);
            download.stays = true;
            return Ok((download, before.file));
        }
        drop(before);
        let created = files.create(file);
        let created = created.map_err(|error| unwritten(file, &error))?;
        if let Some(note) = note_of(job, headers) {
            let noted = files.note(file, &note);
            download.stays = noted.map_err(|error| unwritten(file, &error))?;
        }
        Ok((download, created))
    }

    /// So many bytes more have come.
    pub(crate) fn came(
        &mut self,
        bytes: usize,
        url: &Url,
        options: &Options,
    ) -> Result<(), TransportError> {
        self.done += bytes as u64;
        if self.done > options.longest_file {
            self.stays = false;
            return Err(too_long(url, options.longest_file));
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
    pub(crate) fn keep(mut self) -> Result<(), TransportError> {
        let kept = self.files.keep(self.file);
        self.stays = kept.is_ok();
        kept.map_err(|error| unwritten(self.file, &error))
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        if !self.stays {
            self.files.discard(self.file);
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
    TransportError {
        kind: TransportKind::Cut,
        processed: Processed::Maybe,
        message: format!(
            "{} sent another part of the file than was asked for",
            host_of(url)
        ),
    }
}
