//! One job becomes one HTTP request, and what comes back an answer.

use std::sync::Arc;

use hyper::body::Bytes;
use matricula_core::{
    Body, FileRef, Job, Response, ResponseFormat, Secret, TransportError, TransportResult,
};
use reqwest::{Client, Request, StatusCode};
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::{
    HttpOptions,
    address::{check_encryption, path_of, url_of},
    download::{Before, Download},
    error::{host_of, too_long, unreadable},
    files::{Disk, FileStore},
    headers::{self, OriginHeaders, text_or_bytes},
    progress::Listener,
    redirect,
    tokio::clients::Clients,
    tokio::error::failure,
    tokio::file_body::FileBody,
};

/// Connections, opened as they are needed.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    options: Arc<HttpOptions>,
    clients: Arc<Clients>,
    files: Arc<dyn FileStore>,
    listener: Listener,
}

impl Transport {
    pub(crate) fn new(options: HttpOptions) -> Self {
        Self {
            options: Arc::new(options),
            clients: Arc::default(),
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

    pub(crate) async fn send(&self, job: &Job, token: Option<Secret>) -> TransportResult {
        match self.exchange(job, token).await {
            Ok(response) => TransportResult::Response(response),
            Err(error) => {
                tracing::debug!(job = job.operation_id(), %error, "no answer");
                TransportResult::Failed(error)
            }
        }
    }

    async fn exchange(&self, job: &Job, token: Option<Secret>) -> Result<Response, TransportError> {
        let mut url = url_of(job)?;
        let mut own = OriginHeaders::of(job, token.as_ref());
        let mut before = Before::of(job, &*self.files)?;
        // A runtime of one thread hears of nothing while its thread waits for a person. Here it hears
        // which connections were closed meanwhile: a request on one of those would end in doubt.
        tokio::task::yield_now().await;
        let mut followed = 0;
        loop {
            let (client, request) = self.request(job, url.clone(), own, before.as_ref())?;
            let answer = client
                .execute(request)
                .await
                .map_err(|error| failure(&url, &self.options, self.options.time_for(job), error))?;
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
                None => return self.read(job, &url, answer, before).await,
            }
        }
    }

    fn request(
        &self,
        job: &Job,
        url: Url,
        own: OriginHeaders<'_>,
        before: Option<&Before>,
    ) -> Result<(&Client, Request), TransportError> {
        check_encryption(&url, &self.options)?;
        let client = self.clients.towards(&url, &self.options)?;
        let mut request = Request::new(job.request_method().into(), url);
        *request.headers_mut() = headers::request_headers(job, own, before)?;
        *request.timeout_mut() = Some(self.options.time_for(job));
        *request.body_mut() = match job.request_body() {
            Body::File(file) => {
                let opened = self.files.open(file);
                let opened = opened.and_then(|it| FileBody::new(it, file, &self.listener));
                let body = opened.map_err(|error| unreadable(file, &error))?;
                Some(reqwest::Body::wrap(body))
            }
            body if headers::is_empty(body) => None,
            body => Some(body.as_bytes().to_vec().into()),
        };
        Ok((client, request))
    }

    async fn read(
        &self,
        job: &Job,
        url: &Url,
        answer: reqwest::Response,
        before: Option<Before>,
    ) -> Result<Response, TransportError> {
        let mut status = answer.status();
        let header = headers::response_headers(answer.headers());
        let body = match job.response_format() {
            // What went wrong is told in JSON, and is no content of a file.
            ResponseFormat::File(file) if status.is_success() => {
                self.write_to(file, job, url, answer, before).await?;
                // In pieces or not: it is whole now.
                status = StatusCode::OK;
                Body::File(file.clone())
            }
            ResponseFormat::Bytes => Body::Bytes(self.read_whole(job, url, answer).await?),
            _ => text_or_bytes(self.read_whole(job, url, answer).await?),
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
            if bytes.len() + piece.len() > self.options.max_body_size {
                return Err(too_long(url, self.options.max_body_size as u64));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    async fn write_to(
        &self,
        file: &FileRef,
        job: &Job,
        url: &Url,
        mut answer: reqwest::Response,
        before: Option<Before>,
    ) -> Result<(), TransportError> {
        let to = (&*self.files, &self.listener);
        let head = (answer.status(), answer.headers());
        let (mut download, file) = Download::begin(to, (job, file), url, head, before)?;
        let mut writer = tokio::fs::File::from_std(file);
        loop {
            let piece = self.piece(job, url, &mut answer).await;
            // What has come is in the file also where nothing more comes.
            let Ok(Some(piece)) = &piece else {
                let flushed = match &piece {
                    Ok(_) => writer.sync_all().await,
                    Err(_) => writer.flush().await,
                };
                piece?;
                flushed.map_err(|error| download.unwritten(&error))?;
                return download.keep(url);
            };
            download.came(piece.len(), url, &self.options)?;
            let written = writer.write_all(piece).await;
            written.map_err(|error| download.unwritten(&error))?;
        }
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
            .map_err(|error| failure(url, &self.options, self.options.time_for(job), error))
    }
}
