//! Sends a job's HTTP requests with reqwest.

use std::sync::Arc;

use hyper::body::Bytes;
use matricula_core::{Body, Job, Response, TransportError, TransportResult};
use reqwest::Request;
use tokio::io::AsyncWriteExt;
use url::Url;

use super::{clients::Clients, error::transport_error, file_body::FileBody};
use crate::{
    builder::TransportConfig,
    download::Download,
    error::not_readable,
    exchange::{Exchange, IncomingBody, Next, result_of},
    headers,
};

/// Carries jobs over HTTP. Connections are opened when they are needed.
pub(super) struct Transport {
    config: TransportConfig,
    clients: Arc<Clients>,
}

impl Transport {
    pub(super) fn new(config: TransportConfig, clients: Arc<Clients>) -> Self {
        Self { config, clients }
    }

    pub(super) async fn send(&self, job: &Job) -> TransportResult {
        result_of(job, self.carry(job).await)
    }

    async fn carry(&self, job: &Job) -> Result<Response, TransportError> {
        let token = self.config.credentials.token_of(job)?;
        let mut exchange = Exchange::new(job, token.as_ref(), &self.config)?;
        // A current-thread runtime does not poll its sockets between two calls of `block_on`, or while
        // other code blocks its thread. This lets it notice connections that were closed meanwhile: a
        // request on one of them would end in doubt.
        tokio::task::yield_now().await;
        loop {
            let response = self.request(job, &exchange).await?;
            match exchange.on_head(response.status(), response.headers())? {
                Next::Follow | Next::Retry => {}
                Next::Read(incoming) => {
                    let incoming_body = incoming.body;
                    let body = self
                        .read(job, exchange.url(), response, incoming_body)
                        .await?;
                    return Ok(Response::new(incoming.status, incoming.headers, body));
                }
            }
        }
    }

    async fn request(
        &self,
        job: &Job,
        exchange: &Exchange<'_>,
    ) -> Result<reqwest::Response, TransportError> {
        let url = exchange.url();
        let headers = exchange.next_request()?;
        let client = self.clients.for_url(url, &self.config.options)?;
        let mut request = Request::new(job.request_method().into(), url.clone());
        *request.headers_mut() = headers;
        *request.timeout_mut() = Some(self.config.options.timeout_of(job));
        *request.body_mut() = self.body(job)?;
        let response = client.execute(request).await;
        response.map_err(|error| self.error(job, url, error))
    }

    fn body(&self, job: &Job) -> Result<Option<reqwest::Body>, TransportError> {
        Ok(match job.request_body() {
            Body::File(file) => {
                let opened = self.config.files.open(file);
                let body = opened.and_then(|it| FileBody::new(it, file, &self.config.progress));
                let body = body.map_err(|error| not_readable(file, &error))?;
                Some(reqwest::Body::wrap(body))
            }
            body if headers::is_empty(body) => None,
            body => Some(body.as_bytes().to_vec().into()),
        })
    }

    async fn read(
        &self,
        job: &Job,
        url: &Url,
        mut response: reqwest::Response,
        body: IncomingBody<'_>,
    ) -> Result<Body, TransportError> {
        match body {
            IncomingBody::Memory(mut collector) => {
                while let Some(piece) = self.piece(job, url, &mut response).await? {
                    collector.push(&piece)?;
                }
                Ok(collector.finish())
            }
            IncomingBody::File(download, file) => {
                self.write(job, url, response, (download, file)).await
            }
        }
    }

    async fn write(
        &self,
        job: &Job,
        url: &Url,
        mut response: reqwest::Response,
        (mut download, file): (Download<'_>, std::fs::File),
    ) -> Result<Body, TransportError> {
        let mut writer = tokio::fs::File::from_std(file);
        loop {
            let piece = self.piece(job, url, &mut response).await;
            let Ok(Some(piece)) = &piece else {
                // The received pieces must be in the file also where the response ends early.
                let flushed = match &piece {
                    Ok(_) => writer.sync_all().await,
                    Err(_) => writer.flush().await,
                };
                piece?;
                flushed.map_err(|error| download.write_failed(&error))?;
                return download.commit().map(Body::File);
            };
            download.received(piece.len())?;
            let written = writer.write_all(piece).await;
            written.map_err(|error| download.write_failed(&error))?;
        }
    }

    async fn piece(
        &self,
        job: &Job,
        url: &Url,
        response: &mut reqwest::Response,
    ) -> Result<Option<Bytes>, TransportError> {
        let piece = response.chunk().await;
        piece.map_err(|error| self.error(job, url, error))
    }

    fn error(&self, job: &Job, url: &Url, error: reqwest::Error) -> TransportError {
        let options = &self.config.options;
        transport_error(url, options, options.timeout_of(job), error)
    }
}
