//! Sends a job's HTTP requests with ureq, on the calling thread.

use std::{
    fs::File,
    io::{self, Read, Write},
    sync::Arc,
};

use http::{HeaderMap, HeaderValue, Uri, header::CONTENT_LENGTH};
use matricula_core::{
    Body, FileRef, Job, Method, Response, TransportError, TransportErrorKind, TransportResult,
};
use ureq::{Agent, Error, RequestBuilder, SendBody, typestate::WithBody};

use super::{clients::Clients, error::transport_error};
use crate::{
    address::Address,
    builder::TransportConfig,
    download::Download,
    error::{not_readable, not_sent},
    exchange::{Exchange, IncomingBody, Next, result_of},
    files::{PIECE_SIZE, file_shrank},
    headers,
    progress::{Listener, Upload},
};

/// Carries jobs over HTTP. Connections are opened when they are needed.
pub(super) struct Transport {
    config: TransportConfig,
    clients: Arc<Clients>,
}

/// Whether a request is still wanted. It is asked between the pieces of a download.
type IsWanted<'a> = &'a dyn Fn() -> bool;

impl Transport {
    pub(super) fn new(config: TransportConfig, clients: Arc<Clients>) -> Self {
        Self { config, clients }
    }

    pub(super) fn send(&self, job: &Job, is_wanted: IsWanted<'_>) -> TransportResult {
        result_of(job, self.carry(job, is_wanted))
    }

    fn carry(&self, job: &Job, is_wanted: IsWanted<'_>) -> Result<Response, TransportError> {
        let token = self.config.credentials.token_of(job)?;
        let mut exchange = Exchange::new(job, token.as_ref(), &self.config)?;
        loop {
            let response = self.request(job, &exchange)?;
            match exchange.on_head(response.status(), response.headers())? {
                Next::Follow | Next::Retry => {}
                Next::Read(incoming) => {
                    let source = Source {
                        transport: self,
                        job,
                        address: exchange.address(),
                        reader: &mut response.into_body().into_reader(),
                    };
                    let body = source.read(incoming.body, is_wanted)?;
                    return Ok(Response::new(incoming.status, incoming.headers, body));
                }
            }
        }
    }

    fn request(
        &self,
        job: &Job,
        exchange: &Exchange<'_>,
    ) -> Result<http::Response<ureq::Body>, TransportError> {
        let address = exchange.address();
        let mut headers = exchange.next_request()?;
        let agent = self.clients.for_address(address, &self.config.options)?;
        let (method, uri) = (job.request_method(), address.uri());
        let response = match job.request_body() {
            Body::File(file) => {
                let opened = self.config.files.open(file);
                let opened = opened.and_then(|it| SizedFile::new(it, file, &self.config.progress));
                let mut file = opened.map_err(|error| not_readable(file, &error))?;
                headers.insert(CONTENT_LENGTH, HeaderValue::from(file.upload.left));
                let request = self.prepare(job, with_body(agent, method, uri), headers);
                request.send(SendBody::from_reader(&mut file))
            }
            body if headers::is_empty(body) => match method {
                Method::Get => self.prepare(job, agent.get(uri), headers).call(),
                Method::Delete => {
                    let request = agent.delete(uri);
                    self.prepare(job, request, headers).call()
                }
                Method::Post | Method::Put => {
                    let request = with_body(agent, method, uri);
                    self.prepare(job, request, headers).send_empty()
                }
            },
            body => {
                let request = self.prepare(job, with_body(agent, method, uri), headers);
                request.send(body.as_bytes())
            }
        };
        response.map_err(|error| self.error(job, address, error))
    }

    fn prepare<T>(
        &self,
        job: &Job,
        mut request: RequestBuilder<T>,
        headers: HeaderMap,
    ) -> RequestBuilder<T> {
        // `None` if the address is invalid, which is reported when the request is sent.
        if let Some(all) = request.headers_mut() {
            all.extend(headers);
        }
        let timeout = self.config.options.timeout_of(job);
        request.config().timeout_global(Some(timeout)).build()
    }

    fn error(&self, job: &Job, address: &Address, error: Error) -> TransportError {
        let options = &self.config.options;
        transport_error(address, options, options.timeout_of(job), error)
    }
}

/// The body of a response that is being read.
struct Source<'a> {
    transport: &'a Transport,
    job: &'a Job,
    address: &'a Address,
    reader: &'a mut dyn Read,
}

impl Source<'_> {
    fn read(
        mut self,
        body: IncomingBody<'_>,
        is_wanted: IsWanted<'_>,
    ) -> Result<Body, TransportError> {
        let mut buffer = vec![0; PIECE_SIZE];
        match body {
            IncomingBody::Memory(mut collector) => {
                while let Some(piece) = self.piece(&mut buffer)? {
                    collector.push(piece)?;
                }
                Ok(collector.finish())
            }
            IncomingBody::File(download, file) => {
                self.write(&mut buffer, (download, file), is_wanted)
            }
        }
    }

    fn write(
        &mut self,
        buffer: &mut [u8],
        (mut download, mut file): (Download<'_>, File),
        is_wanted: IsWanted<'_>,
    ) -> Result<Body, TransportError> {
        while let Some(piece) = self.piece(buffer)? {
            if !is_wanted() {
                let what = "cancelled".to_owned();
                return Err(not_sent(TransportErrorKind::ConnectionLost, what));
            }
            download.received(piece.len())?;
            let written = file.write_all(piece);
            written.map_err(|error| download.write_failed(&error))?;
        }
        download.commit().map(Body::File)
    }

    fn piece<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, TransportError> {
        loop {
            match self.reader.read(buffer) {
                Ok(0) => return Ok(None),
                Ok(length) => return Ok(buffer.get(..length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(self.transport.error(self.job, self.address, error.into()));
                }
            }
        }
    }
}

/// A request with a body, also for methods that usually have none.
fn with_body(agent: &Agent, method: Method, uri: &Uri) -> RequestBuilder<WithBody> {
    match method {
        Method::Get => agent.get(uri).force_send_body(),
        Method::Post => agent.post(uri),
        Method::Put => agent.put(uri),
        Method::Delete => agent.delete(uri).force_send_body(),
    }
}

/// The bytes of an open file: as many as the file had when it was opened.
struct SizedFile {
    file: File,
    upload: Upload,
}

impl SizedFile {
    fn new(file: File, name: &FileRef, listener: &Listener) -> io::Result<Self> {
        let upload = Upload::new(name, file.metadata()?.len(), listener);
        Ok(Self { file, upload })
    }
}

impl Read for SizedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.upload.left;
        let read = (&mut self.file).take(left).read(buffer)?;
        if read == 0 && left > 0 && !buffer.is_empty() {
            // Another kind of error: ureq takes this one for a closed connection.
            return Err(io::Error::other(file_shrank()));
        }
        if read > 0 {
            self.upload.sent(read);
        }
        Ok(read)
    }
}
