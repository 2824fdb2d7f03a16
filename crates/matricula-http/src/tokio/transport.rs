//! Sends a job's HTTP requests with hyper.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue, Request,
    header::{ACCEPT, ACCEPT_ENCODING, HOST, USER_AGENT},
};
use hyper::body::Bytes;
use matricula_core::{Body, Job, Response, TransportError, TransportResult};
use tokio::io::AsyncWriteExt;

use super::{
    body::RequestBody,
    clients::{Clients, Connection},
    error::Error,
    file_body::FileBody,
    response::{self, Deadline},
};
use crate::{
    HttpOptions,
    address::Address,
    builder::TransportConfig,
    download::Download,
    error::{invalid_request, not_readable},
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
            let (mut response, connection) = self.request(job, &exchange).await?;
            let address = exchange.address().clone();
            let next = exchange.on_head(response.status(), response.headers())?;
            let ended = match next {
                Next::Follow | Next::Retry => None,
                Next::Read(incoming) => {
                    let body = self
                        .read(job, &address, &mut response, incoming.body)
                        .await?;
                    Some(Response::new(incoming.status, incoming.headers, body))
                }
            };
            drop(response);
            self.clients.keep(&address, connection);
            if let Some(response) = ended {
                return Ok(response);
            }
        }
    }

    async fn request(
        &self,
        job: &Job,
        exchange: &Exchange<'_>,
    ) -> Result<(response::Response, Connection), TransportError> {
        let (address, options) = (exchange.address(), &self.config.options);
        let mut request = Request::new(self.body(job)?);
        *request.method_mut() = job.request_method().into();
        *request.headers_mut() = exchange.next_request()?;
        add_usual_headers(request.headers_mut(), address, options)?;
        let deadline = Deadline::after(options.timeout_of(job));
        let sent = self.clients.send(address, request, options, deadline).await;
        sent.map_err(|error| self.error(job, address, error))
    }

    fn body(&self, job: &Job) -> Result<RequestBody, TransportError> {
        Ok(match job.request_body() {
            Body::File(file) => {
                let opened = self.config.files.open(file);
                let body = opened.and_then(|it| FileBody::new(it, file, &self.config.progress));
                RequestBody::File(body.map_err(|error| not_readable(file, &error))?)
            }
            body if headers::is_empty(body) => RequestBody::Empty,
            body => RequestBody::Bytes(body.as_bytes().to_vec().into()),
        })
    }

    async fn read(
        &self,
        job: &Job,
        address: &Address,
        response: &mut response::Response,
        body: IncomingBody<'_>,
    ) -> Result<Body, TransportError> {
        match body {
            IncomingBody::Memory(mut collector) => {
                while let Some(piece) = self.piece(job, address, response).await? {
                    collector.push(&piece)?;
                }
                Ok(collector.finish())
            }
            IncomingBody::File(download, file) => {
                self.write(job, address, response, (download, file)).await
            }
        }
    }

    async fn write(
        &self,
        job: &Job,
        address: &Address,
        response: &mut response::Response,
        (mut download, file): (Download<'_>, std::fs::File),
    ) -> Result<Body, TransportError> {
        let mut writer = tokio::fs::File::from_std(file);
        loop {
            let piece = self.piece(job, address, response).await;
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
        address: &Address,
        response: &mut response::Response,
    ) -> Result<Option<Bytes>, TransportError> {
        let piece = response.piece().await;
        piece.map_err(|error| self.error(job, address, error))
    }

    fn error(&self, job: &Job, address: &Address, error: Error) -> TransportError {
        error.into_transport_error(address, self.config.options.timeout_of(job))
    }
}

/// Adds the headers that every request has, where the job has none of its own.
fn add_usual_headers(
    headers: &mut HeaderMap,
    address: &Address,
    options: &HttpOptions,
) -> Result<(), TransportError> {
    let host = HeaderValue::from_str(address.authority());
    let host = host.map_err(|error| invalid_request(error.to_string()))?;
    headers.entry(HOST).or_insert(host);
    let user_agent = headers::user_agent(options)?;
    headers.entry(USER_AGENT).or_insert(user_agent);
    let anything = HeaderValue::from_static("*/*");
    headers.entry(ACCEPT).or_insert(anything);
    let gzip = HeaderValue::from_static("gzip");
    headers.entry(ACCEPT_ENCODING).or_insert(gzip);
    Ok(())
}
