//! One job becomes one HTTP request, and what comes back an answer.

use std::sync::Arc;

use matricula_job::{
    Answer, Body, Header, Job, Method, Processed, Response, ReturnType, Secret, ServerUrl,
    ServerUrlError, TransportError, TransportKind,
};
use reqwest::{
    RequestBuilder, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};

use crate::{
    Options,
    clients::Clients,
    failure::{failure, host_of},
    redirect,
};

/// Connections, opened as they are needed.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    options: Arc<Options>,
    clients: Arc<Clients>,
}

impl Wire {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options: Arc::new(options),
            clients: Arc::default(),
        }
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
        if matches!(job.return_type(), ReturnType::File(_)) {
            return Err(unsendable("answers are not written to files yet"));
        }
        let mut url = url_of(job)?;
        // A runtime of one thread hears of nothing while its thread waits for a person. Here it hears
        // which connections were closed meanwhile: a request on one of those would end in doubt.
        tokio::task::yield_now().await;
        for _ in 0..=self.options.redirects {
            let request = self.request(job, url.clone(), token.as_ref())?;
            let answer = request
                .send()
                .await
                .map_err(|error| failure(&url, &self.options, error))?;
            tracing::debug!(
                job = job.job_id(),
                method = job.request_method().as_str(),
                server = %host_of(&url),
                path = url.path(),
                status = answer.status().as_u16(),
                "answered"
            );
            match redirect::follow(job, token.as_ref(), &url, &answer)? {
                Some(next) => url = next,
                None => return self.read(job, &url, answer).await,
            }
        }
        Err(redirect::too_many(&url, self.options.redirects))
    }

    fn request(
        &self,
        job: &Job,
        url: Url,
        token: Option<&Secret>,
    ) -> Result<RequestBuilder, TransportError> {
        let method = match job.request_method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let client = self.clients.towards(&url, &self.options)?;
        let mut request = client.request(method, url);
        for (name, value) in job.request_header() {
            request = request.header(name.as_ref(), value);
        }
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| unsendable("the token has characters that no header can carry"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let takes_body = matches!(job.request_method(), Method::Post | Method::Put);
        Ok(match job.request_body() {
            Body::File(_) => return Err(unsendable("files are not sent yet")),
            // Servers and proxies may wait for the body of a method that usually has one.
            body if body.as_bytes().is_empty() && takes_body => request.header(CONTENT_LENGTH, 0),
            Body::Json(text) if has_type(job) => request.body(text.clone()),
            Body::Json(text) => request
                .header(CONTENT_TYPE, "application/json")
                .body(text.clone()),
            body => request.body(body.as_bytes().to_vec()),
        })
    }

    async fn read(
        &self,
        job: &Job,
        url: &Url,
        mut answer: reqwest::Response,
    ) -> Result<Response, TransportError> {
        let status = answer.status().as_u16();
        let header: Header = answer
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned().into(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| failure(url, &self.options, error))?
        {
            if bytes.len() + chunk.len() > self.options.longest_body {
                return Err(TransportError {
                    kind: TransportKind::TooLarge,
                    processed: Processed::Maybe,
                    message: format!(
                        "{}: its answer is longer than {} bytes",
                        host_of(url),
                        self.options.longest_body
                    ),
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        let body = match job.return_type() {
            ReturnType::Json => match String::from_utf8(bytes) {
                Ok(text) => Body::Json(text),
                Err(error) => Body::Bytes(error.into_bytes()),
            },
            _ => Body::Bytes(bytes),
        };
        Ok(Response::new(status, header, body))
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
