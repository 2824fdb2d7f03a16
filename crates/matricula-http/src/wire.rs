//! One job becomes one HTTP request, and what comes back an answer.

use std::sync::Arc;

use hyper::body::Bytes;
use matricula_job::{Answer, Body, FileDesc, Job, Response, ReturnType, Secret, TransportError};
use reqwest::RequestBuilder;
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::{
    Options,
    address::{check_encryption, host_of, path_of, url_of},
    clients::Clients,
    failure::{too_long, unreadable, unwritten},
    file_body::FileBody,
    files::{Disk, FileSource, Unfinished},
    head::{self, Own, text_or_bytes},
    hyper_failure::failure,
    redirect,
};

/// Connections, opened as they are needed.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    options: Arc<Options>,
    clients: Arc<Clients>,
    files: Arc<dyn FileSource>,
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
        let mut own = Own::of(job, token.as_ref());
        // A runtime of one thread hears of nothing while its thread waits for a person. Here it hears
        // which connections were closed meanwhile: a request on one of those would end in doubt.
        tokio::task::yield_now().await;
        for _ in 0..=self.options.redirects {
            let request = self.request(job, url.clone(), own)?;
            let answer = request
                .send()
                .await
                .map_err(|error| failure(&url, &self.options, self.options.time_for(job), error))?;
            tracing::debug!(
                job = job.job_id(),
                method = job.request_method().as_str(),
                server = %host_of(&url),
                path = %path_of(job, &url),
                status = answer.status().as_u16(),
                "answered"
            );
            let head = (answer.status(), answer.headers());
            match redirect::follow(job, token.as_ref(), &url, head)? {
                Some(next) => (url, own) = (next, Own::default()),
                None => return self.read(job, &url, answer).await,
            }
        }
        Err(redirect::too_many(&url, self.options.redirects))
    }

    fn request(&self, job: &Job, url: Url, own: Own<'_>) -> Result<RequestBuilder, TransportError> {
        check_encryption(&url, &self.options)?;
        let client = self.clients.towards(&url, &self.options)?;
        let request = client
            .request(job.request_method().into(), url)
            .headers(head::headers(job, own)?)
            .timeout(self.options.time_for(job));
        Ok(match job.request_body() {
            Body::File(file) => {
                let opened = self.files.open(file).and_then(FileBody::new);
                let body = opened.map_err(|error| unreadable(file, &error))?;
                request.body(reqwest::Body::wrap(body))
            }
            body if head::is_empty(body) => request,
            body => request.body(body.as_bytes().to_vec()),
        })
    }

    async fn read(
        &self,
        job: &Job,
        url: &Url,
        answer: reqwest::Response,
    ) -> Result<Response, TransportError> {
        let status = answer.status();
        let header = head::header_of(answer.headers());
        let body = match job.return_type() {
            // What went wrong is told in JSON, and is no content of a file.
            ReturnType::File(file) if status.is_success() => {
                self.write_to(file, job, url, answer).await?;
                Body::File(file.clone())
            }
            ReturnType::Bytes => Body::Bytes(self.read_whole(job, url, answer).await?),
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
        let (unfinished, created) =
            Unfinished::begin(&*self.files, file).map_err(|error| unwritten(file, &error))?;
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
        unfinished.keep().map_err(|error| unwritten(file, &error))
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
