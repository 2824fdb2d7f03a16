//! One job becomes one HTTP request, and what comes back an answer.

use std::{borrow::Cow, io, sync::Arc, time::Duration};

use hyper::body::Bytes;
use matricula_job::{
    Answer, Body, FileDesc, Header, Job, Method, Processed, Response, ReturnType, Secret,
    ServerUrl, ServerUrlError, TransportError, TransportKind,
};
use reqwest::{
    RequestBuilder, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};
use tokio::io::AsyncWriteExt;

use crate::{
    Options,
    clients::Clients,
    failure::{failure, host_of, server_of},
    files::{Disk, FileBody, FileSource},
    redirect,
};

/// Connections, opened as they are needed.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    options: Arc<Options>,
    clients: Arc<Clients>,
    files: Arc<dyn FileSource>,
}

/// What a request carries to the server that it is for, and to no other.
#[derive(Clone, Copy, Default)]
struct Own<'a> {
    header: &'a [(Cow<'static, str>, String)],
    token: Option<&'a Secret>,
}

impl Wire {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options: Arc::new(options),
            clients: Arc::default(),
            files: Arc::new(Disk),
        }
    }

    pub(crate) fn with_files(mut self, files: Arc<dyn FileSource>) -> Self {
        self.files = files;
        self
    }

    pub(crate) async fn send(&self, job: &Job, token: Option<Secret>) -> Answer {
        match self.exchange(job, token).await {
            Ok(response) => Answer::Response(response),
            Err(error) => {
                tracing::debug!(job = job.job_id(), %error, "no answer");
                Answer::Failed(error)
            }
        }
    }

    async fn exchange(&self, job: &Job, token: Option<Secret>) -> Result<Response, TransportError> {
        let mut url = url_of(job)?;
        let mut own = Own {
            header: job.request_header(),
            token: token.as_ref(),
        };
        // A runtime of one thread hears of nothing while its thread waits for a person. Here it hears
        // which connections were closed meanwhile: a request on one of those would end in doubt.
        tokio::task::yield_now().await;
        for _ in 0..=self.options.redirects {
            let request = self.request(job, url.clone(), own)?;
            let answer = request
                .send()
                .await
                .map_err(|error| failure(&url, &self.options, self.time_for(job), error))?;
            tracing::debug!(
                job = job.job_id(),
                method = job.request_method().as_str(),
                server = %host_of(&url),
                path = %path_of(job, &url),
                status = answer.status().as_u16(),
                "answered"
            );
            match redirect::follow(job, token.as_ref(), &url, &answer)? {
                Some(next) => (url, own) = (next, Own::default()),
                None => return self.read(job, &url, answer).await,
            }
        }
        Err(redirect::too_many(&url, self.options.redirects))
    }

    /// Here, where every request passes: whoever named the address, and wherever a redirection led.
    fn check_encryption(&self, url: &Url) -> Result<(), TransportError> {
        let stays_here = || server_of(url).is_some_and(|server| server.is_this_machine());
        if url.scheme() == "https" || self.options.allow_plain_http || stays_here() {
            return Ok(());
        }
        Err(unsendable(format!(
            "{} is not encrypted: everyone on the way could read what is sent there, and it was not \
             allowed",
            host_of(url)
        )))
    }

    fn request(&self, job: &Job, url: Url, own: Own<'_>) -> Result<RequestBuilder, TransportError> {
        self.check_encryption(&url)?;
        let client = self.clients.towards(&url, &self.options)?;
        let mut request = client.request(job.request_method().into(), url);
        for (name, value) in own.header {
            request = request.header(name.as_ref(), value);
        }
        if let Some(token) = own.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| unsendable("the token has characters that no header can carry"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request = request.timeout(self.time_for(job));
        let takes_body = matches!(job.request_method(), Method::Post | Method::Put);
        Ok(match job.request_body() {
            Body::File(file) => self.attach(request, job, file)?,
            // Servers and proxies may wait for the body of a method that usually has one.
            body if body.as_bytes().is_empty() && takes_body => request.header(CONTENT_LENGTH, 0),
            body => typed(request, job).body(body.as_bytes().to_vec()),
        })
    }

    /// How long a request may take.
    fn time_for(&self, job: &Job) -> Duration {
        let Options {
            timeout,
            file_timeout,
            ..
        } = *self.options;
        if job.response_file().is_some() || matches!(job.request_body(), Body::File(_)) {
            return file_timeout;
        }
        job.asks_to_wait().map_or(timeout, |wait| {
            timeout.saturating_add(wait).min(file_timeout)
        })
    }

    fn attach(
        &self,
        request: RequestBuilder,
        job: &Job,
        file: &FileDesc,
    ) -> Result<RequestBuilder, TransportError> {
        let opened = self.files.open(file).and_then(FileBody::new);
        let body = opened.map_err(|error| unsendable(in_file(file, "read", &error)))?;
        Ok(typed(request, job).body(reqwest::Body::wrap(body)))
    }

    async fn read(
        &self,
        job: &Job,
        url: &Url,
        answer: reqwest::Response,
    ) -> Result<Response, TransportError> {
        let status = answer.status();
        let header = header_of(&answer);
        let body = match job.return_type() {
            // What went wrong is told in JSON, and is no content of a file.
            ReturnType::File(file) if status.is_success() => {
                self.write_to(file, job, url, answer).await?;
                Body::File(file.clone())
            }
            ReturnType::Bytes => Body::Bytes(self.read_whole(job, url, answer).await?),
            _ => match String::from_utf8(self.read_whole(job, url, answer).await?) {
                Ok(text) => Body::Json(text),
                Err(error) => Body::Bytes(error.into_bytes()),
            },
        };
        Ok(Response::new(status.as_u16(), header, body))
    }

    async fn read_whole(
        &self,
        job: &Job,
        url: &Url,
        mut answer: reqwest::Response,
    ) -> Result<Vec<u8>, TransportError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece(job, url, &mut answer).await? {
            if bytes.len() + piece.len() > self.options.longest_body {
                return Err(too_long(url, self.options.longest_body as u64));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Old or new, never half: whatever ends this early leaves the file as it was.
    async fn write_to(
        &self,
        file: &FileDesc,
        job: &Job,
        url: &Url,
        mut answer: reqwest::Response,
    ) -> Result<(), TransportError> {
        let unfinished = Unfinished {
            files: &*self.files,
            file,
        };
        let created = self
            .files
            .create(file)
            .map_err(|error| unwritten(file, &error))?;
        let mut writer = tokio::fs::File::from_std(created);
        let mut length = 0;
        while let Some(piece) = self.piece(job, url, &mut answer).await? {
            length += piece.len() as u64;
            if length > self.options.longest_file {
                return Err(too_long(url, self.options.longest_file));
            }
            writer
                .write_all(&piece)
                .await
                .map_err(|error| unwritten(file, &error))?;
        }
        writer
            .flush()
            .await
            .map_err(|error| unwritten(file, &error))?;
        self.files
            .keep(file)
            .map_err(|error| unwritten(file, &error))?;
        std::mem::forget(unfinished);
        Ok(())
    }

    async fn piece(
        &self,
        job: &Job,
        url: &Url,
        answer: &mut reqwest::Response,
    ) -> Result<Option<Bytes>, TransportError> {
        answer
            .chunk()
            .await
            .map_err(|error| failure(url, &self.options, self.time_for(job), error))
    }
}

/// An answer that is being written to a file; dropped before its time, it leaves nothing behind.
struct Unfinished<'a> {
    files: &'a dyn FileSource,
    file: &'a FileDesc,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.files.discard(self.file);
    }
}

fn header_of(answer: &reqwest::Response) -> Header {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = answer.headers().iter();
    headers
        .map(|(name, value)| (name.as_str().to_owned().into(), text(value)))
        .collect()
}

fn too_long(url: &Url, most: u64) -> TransportError {
    TransportError {
        kind: TransportKind::TooLarge,
        processed: Processed::Maybe,
        message: format!("{}: its answer is longer than {most} bytes", host_of(url)),
    }
}

fn in_file(file: &FileDesc, what: &str, error: &io::Error) -> String {
    format!("{} cannot be {what}: {error}", file.path.display())
}

/// The server has done what was asked; its answer could not be kept.
fn unwritten(file: &FileDesc, error: &io::Error) -> TransportError {
    TransportError {
        kind: TransportKind::Request,
        processed: Processed::Maybe,
        message: in_file(file, "written", error),
    }
}

/// The address with its query. Another reader of the address than ours must not see another server
/// or path in it, so one that can be written more simply is refused.
fn url_of(job: &Job) -> Result<Url, TransportError> {
    if let Some((address, _)) = job.url().split_once(['?', '#']) {
        // What follows is not repeated: it may hold a secret.
        return Err(unsendable(format!(
            "{address} is followed by a query or fragment: a query belongs into the job's pairs"
        )));
    }
    let server: ServerUrl = job
        .url()
        .parse()
        .map_err(|error: ServerUrlError| unsendable(error.to_string()))?;
    let mut url = Url::parse(job.url())
        .map_err(|error| unsendable(format!("{server} is no address: {error}")))?;
    if url.as_str().trim_end_matches('/') != server.as_str() {
        return Err(unsendable(format!("{server} stands for {url}: use that")));
    }
    let pairs = job.request_query();
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(url)
}

/// The path for people to read. Where a redirection led, nobody knows what is secret in it.
fn path_of<'a>(job: &'a Job, url: &'a Url) -> Cow<'a, str> {
    match job.masked_url() {
        Cow::Owned(masked) => Cow::Owned(masked),
        Cow::Borrowed(_) => Cow::Borrowed(url.path()),
    }
}

/// The request with its body's media type, unless the job names another.
fn typed(request: RequestBuilder, job: &Job) -> RequestBuilder {
    match job.request_body().content_type() {
        Some(content_type) if !has_type(job) => request.header(CONTENT_TYPE, content_type),
        _ => request,
    }
}

fn has_type(job: &Job) -> bool {
    let mut names = job.request_header().iter().map(|(name, _)| name);
    names.any(|name| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()))
}

fn unsendable(message: impl Into<String>) -> TransportError {
    TransportError {
        kind: TransportKind::Request,
        processed: Processed::No,
        message: message.into(),
    }
}
