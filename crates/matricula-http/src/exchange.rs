//! One job as a sequence of HTTP requests and responses, without I/O.

use std::fs::File;

use http::{HeaderMap, StatusCode};
use matricula_core::{
    Body, Headers, Job, Response, ResponseFormat, Secret, TransportError, TransportResult,
};

use crate::{
    address::{Address, check_encryption},
    builder::TransportConfig,
    download::{Download, PartialDownload},
    error::too_large,
    headers::{self, OriginHeaders},
    redirect,
};

/// One job on its way: follows redirects, and restarts a download whose range the server rejects.
///
/// A transport sends [`next_request`](Self::next_request) and hands the response's head to
/// [`on_head`](Self::on_head), until that says [`Next::Read`].
pub(crate) struct Exchange<'a> {
    job: &'a Job,
    config: &'a TransportConfig,
    token: Option<&'a Secret>,
    address: Address,
    /// Sent to the job's own server only.
    origin: OriginHeaders<'a>,
    partial: Option<PartialDownload>,
    redirects: usize,
}

/// What to do after the head of a response.
pub(crate) enum Next<'a> {
    /// Send the next request: it goes to another address.
    Follow,
    /// Send the next request: it asks for the whole file.
    Retry,
    /// Read the body.
    Read(Incoming<'a>),
}

/// A response whose body is still to be read.
pub(crate) struct Incoming<'a> {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: IncomingBody<'a>,
}

pub(crate) enum IncomingBody<'a> {
    Memory(Collector),
    File(Download<'a>, File),
}

/// Collects a body in memory, up to the largest size that is allowed.
pub(crate) struct Collector {
    address: Address,
    bytes: Vec<u8>,
    max_size: usize,
    is_text: bool,
}

impl Collector {
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), TransportError> {
        if self.bytes.len() + piece.len() > self.max_size {
            return Err(too_large(&self.address, self.max_size as u64));
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    pub(crate) fn finish(self) -> Body {
        if self.is_text {
            headers::text_or_bytes(self.bytes)
        } else {
            Body::Bytes(self.bytes)
        }
    }
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        job: &'a Job,
        token: Option<&'a Secret>,
        config: &'a TransportConfig,
    ) -> Result<Self, TransportError> {
        Ok(Self {
            job,
            config,
            token,
            address: Address::of_job(job)?,
            origin: OriginHeaders::new(job, token),
            partial: PartialDownload::find(job, &*config.files)?,
            redirects: 0,
        })
    }

    /// Where the next request goes.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The headers of the next request, without those that all requests have.
    pub(crate) fn next_request(&self) -> Result<HeaderMap, TransportError> {
        check_encryption(&self.address, &self.config.options)?;
        headers::request_headers(self.job, self.origin, self.partial.as_ref())
    }

    pub(crate) fn on_head(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Next<'a>, TransportError> {
        tracing::debug!(
            job = self.job.operation_id(),
            method = self.job.request_method().as_str(),
            server = self.address.origin(),
            path = %self.address.path_to_log(self.job),
            status = status.as_u16(),
            "response"
        );
        if let Some(next) =
            redirect::follow(self.job, self.token, &self.address, (status, headers))?
        {
            (self.address, self.origin) = (next, OriginHeaders::default());
            self.redirects += 1;
            let most = self.config.options.max_redirects;
            if self.redirects > most {
                return Err(redirect::too_many(&self.address, most));
            }
            return Ok(Next::Follow);
        }
        // The partial file is longer than what the server has now.
        if status == StatusCode::RANGE_NOT_SATISFIABLE && self.partial.take().is_some() {
            return Ok(Next::Retry);
        }
        Ok(Next::Read(self.incoming(status, headers)?))
    }

    fn incoming(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Incoming<'a>, TransportError> {
        let (status, body) = match self.job.response_format() {
            // An error is JSON, and not the content of the file.
            ResponseFormat::File(file) if status.is_success() => {
                let head = (status, headers);
                let partial = self.partial.take();
                let (download, open) =
                    Download::start(self.config, (self.job, file), &self.address, head, partial)?;
                // Also where the server sent only the rest of it: the file will be whole.
                (StatusCode::OK, IncomingBody::File(download, open))
            }
            format => {
                let collector = Collector {
                    address: self.address.clone(),
                    bytes: Vec::new(),
                    max_size: self.config.options.max_body_size,
                    is_text: *format != ResponseFormat::Bytes,
                };
                (status, IncomingBody::Memory(collector))
            }
        };
        Ok(Incoming {
            status: status.as_u16(),
            headers: headers::response_headers(headers),
            body,
        })
    }
}

/// The result of an exchange, which is logged if it failed.
pub(crate) fn result_of(job: &Job, result: Result<Response, TransportError>) -> TransportResult {
    match result {
        Ok(response) => TransportResult::Response(response),
        Err(error) => {
            tracing::debug!(job = job.operation_id(), %error, "no response");
            TransportResult::Failed(error)
        }
    }
}
