//! One job becomes one HTTP request, and what comes back an answer, while its thread waits.

use std::{
    fs::File,
    io::{self, Read, Write},
    sync::Arc,
};

use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_LENGTH, response::Parts};
use matricula_core::{
    Body, FileRef, Job, Method, Response, ResponseFormat, Secret, TransportError,
    TransportErrorKind, TransportResult,
};
use ureq::{Agent, Error, RequestBuilder, SendBody, typestate::WithBody};
use url::Url;

use super::{agents::Agents, error::failure};
use crate::{
    HttpOptions,
    address::{check_encryption, path_of, url_of},
    download::{Before, Download},
    error::{host_of, refused, too_long, unreadable},
    files::{Disk, FileStore, PIECE, has_become_shorter},
    headers::{self, OriginHeaders, text_or_bytes},
    progress::{Listener, Upload},
    redirect,
};

/// Connections, opened as they are needed.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    options: Arc<HttpOptions>,
    agents: Arc<Agents>,
    files: Arc<dyn FileStore>,
    listener: Listener,
}

impl Transport {
    pub(crate) fn new(options: HttpOptions) -> Self {
        Self {
            options: Arc::new(options),
            agents: Arc::default(),
            files: Arc::new(Disk),
            listener: Listener::default(),
        }
    }

    pub(crate) fn with_files(mut self, files: Arc<dyn FileStore>) -> Self {
        self.files = files;
        self
    }

    pub(crate) fn telling(mut self, listener: Listener) -> Self {
        self.listener = listener;
        self
    }

    /// `is_wanted` is asked between the pieces of a file: one that nobody wants any more ends there.
    pub(crate) fn send(
        &self,
        job: &Job,
        token: Option<Secret>,
        is_wanted: &dyn Fn() -> bool,
    ) -> TransportResult {
        match self.exchange(job, token, is_wanted) {
            Ok(response) => TransportResult::Response(response),
            Err(error) => {
                tracing::debug!(job = job.operation_id(), %error, "no answer");
                TransportResult::Failed(error)
            }
        }
    }

    fn exchange(
        &self,
        job: &Job,
        token: Option<Secret>,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Response, TransportError> {
        let mut url = url_of(job)?;
        let mut own = OriginHeaders::of(job, token.as_ref());
        let mut before = Before::of(job, &*self.files)?;
        let mut followed = 0;
        loop {
            let answer = self.ask(job, &url, own, before.as_ref())?;
            tracing::debug!(
                job = job.operation_id(),
                method = job.request_method().as_str(),
                server = %host_of(&url),
                path = %path_of(job, &url),
                status = answer.status().as_u16(),
                "answered"
            );
            let head = (answer.status(), answer.headers());
            match redirect::follow(job, token.as_ref(), &url, head)? {
                Some(next) => {
                    (url, own) = (next, OriginHeaders::default());
                    followed += 1;
                    if followed > self.options.max_redirects {
                        return Err(redirect::too_many(&url, self.options.max_redirects));
                    }
                }
                // What came before is longer than what the server has now.
                None if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE
                    && before.is_some() =>
                {
                    before = None;
                }
                None => return self.read(job, &url, (answer, is_wanted), before),
            }
        }
    }

    fn ask(
        &self,
        job: &Job,
        url: &Url,
        own: OriginHeaders<'_>,
        before: Option<&Before>,
    ) -> Result<http::Response<ureq::Body>, TransportError> {
        check_encryption(url, &self.options)?;
        let agent = self.agents.towards(url, &self.options)?;
        let mut headers = headers::request_headers(job, own, before)?;
        let method = job.request_method();
        let answer = match job.request_body() {
            Body::File(file) => {
                let opened = self.files.open(file);
                let opened = opened.and_then(|it| Whole::of(it, file, &self.listener));
                let mut whole = opened.map_err(|error| unreadable(file, &error))?;
                headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.upload.left));
                let request = self.with_head(job, with_body(agent, method, url), headers);
                request.send(SendBody::from_reader(&mut whole))
            }
            body if headers::is_empty(body) => match method {
                Method::Get => self.with_head(job, agent.get(url.as_str()), headers).call(),
                Method::Delete => {
                    let request = agent.delete(url.as_str());
                    self.with_head(job, request, headers).call()
                }
                Method::Post | Method::Put => {
                    let request = with_body(agent, method, url);
                    self.with_head(job, request, headers).send_empty()
                }
            },
            body => {
                let request = self.with_head(job, with_body(agent, method, url), headers);
                request.send(body.as_bytes())
            }
        };
        answer.map_err(|error| self.failure(job, url, error))
    }

    fn with_head<T>(
        &self,
        job: &Job,
        mut request: RequestBuilder<T>,
        headers: HeaderMap,
    ) -> RequestBuilder<T> {
        // None where the address could not be read, which shows when it is sent.
        if let Some(all) = request.headers_mut() {
            all.extend(headers);
        }
        let time = self.options.time_for(job);
        request.config().timeout_global(Some(time)).build()
    }

    fn read(
        &self,
        job: &Job,
        url: &Url,
        (answer, is_wanted): (http::Response<ureq::Body>, &dyn Fn() -> bool),
        before: Option<Before>,
    ) -> Result<Response, TransportError> {
        let (mut head, body) = answer.into_parts();
        let header = headers::response_headers(&head.headers);
        let mut reader = body.into_reader();
        let body = match job.response_format() {
            // What went wrong is told in JSON, and is no content of a file.
            ResponseFormat::File(file) if head.status.is_success() => {
                self.write_to(file, job, url, (&head, &mut reader, is_wanted), before)?;
                // In pieces or not: it is whole now.
                head.status = StatusCode::OK;
                Body::File(file.clone())
            }
            ResponseFormat::Bytes => Body::Bytes(self.read_whole(job, url, &mut reader)?),
            _ => text_or_bytes(self.read_whole(job, url, &mut reader)?),
        };
        Ok(Response::new(head.status.as_u16(), header, body))
    }

    fn read_whole(
        &self,
        job: &Job,
        url: &Url,
        reader: &mut dyn Read,
    ) -> Result<Vec<u8>, TransportError> {
        let longest = self.options.max_body_size as u64;
        let mut bytes = Vec::new();
        // A byte more than may be, to see whether there is one.
        let read = reader
            .take(longest.saturating_add(1))
            .read_to_end(&mut bytes);
        read.map_err(|error| self.failure(job, url, error.into()))?;
        if bytes.len() as u64 > longest {
            return Err(too_long(url, longest));
        }
        Ok(bytes)
    }

    fn write_to(
        &self,
        file: &FileRef,
        job: &Job,
        url: &Url,
        (head, reader, is_wanted): (&Parts, &mut dyn Read, &dyn Fn() -> bool),
        before: Option<Before>,
    ) -> Result<(), TransportError> {
        let to = (&*self.files, &self.listener);
        let head = (head.status, &head.headers);
        let (mut download, mut file) = Download::begin(to, (job, file), url, head, before)?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = match reader.read(&mut piece) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failure(job, url, error.into())),
            };
            let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else {
                break;
            };
            if !is_wanted() {
                return Err(refused(
                    TransportErrorKind::ConnectionLost,
                    "called back".to_owned(),
                ));
            }
            download.came(read.len(), url, &self.options)?;
            let written = file.write_all(read);
            written.map_err(|error| download.unwritten(&error))?;
        }
        download.keep(url)
    }

    fn failure(&self, job: &Job, url: &Url, error: Error) -> TransportError {
        failure(url, &self.options, self.options.time_for(job), error)
    }
}

/// A request with a body, also for methods that seldom have one.
fn with_body(agent: &Agent, method: Method, url: &Url) -> RequestBuilder<WithBody> {
    let url = url.as_str();
    match method {
        Method::Get => agent.get(url).force_send_body(),
        Method::Post => agent.post(url),
        Method::Put => agent.put(url),
        Method::Delete => agent.delete(url).force_send_body(),
    }
}

/// The bytes of an open file: as many as it had when it was opened.
struct Whole {
    file: File,
    upload: Upload,
}

impl Whole {
    fn of(file: File, desc: &FileRef, listener: &Listener) -> io::Result<Self> {
        let upload = Upload::new(desc, file.metadata()?.len(), listener);
        Ok(Self { file, upload })
    }
}

impl Read for Whole {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let left = self.upload.left;
        let read = (&mut self.file).take(left).read(to)?;
        if read == 0 && left > 0 && !to.is_empty() {
            // Of another kind, for this one says that a connection was closed.
            return Err(io::Error::other(has_become_shorter()));
        }
        if read > 0 {
            self.upload.took(read);
        }
        Ok(read)
    }
}
