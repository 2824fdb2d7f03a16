//! Conversion of a job into a request of the `http` crate.

use http::{
    HeaderName, HeaderValue, Request, Uri,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE},
};

use crate::{Body, Job, Method, Secret};

impl Job {
    /// The HTTP request, with this token. The caller opens the file of a body that is a file.
    ///
    /// The URL is not checked further. If a job comes from an untrusted source, parse its URL with the
    /// parser of the HTTP client too, and compare.
    ///
    /// # Errors
    /// If the URL is not valid, or a header or the token has characters that a header must not have.
    pub fn into_http(self, token: Option<&Secret>) -> Result<Request<Body>, http::Error> {
        let (url, query, job_headers, method, body) = self.into_parts();
        let mut request = Request::new(body);
        *request.method_mut() = method.into();
        *request.uri_mut() = Uri::try_from(if query.is_empty() {
            url
        } else {
            let start = url.len() + 1;
            let mut pairs = form_urlencoded::Serializer::for_suffix(url + "?", start);
            pairs.extend_pairs(query).finish()
        })?;
        let content_type = request.body().content_type();
        let content_type = content_type.map(HeaderValue::try_from).transpose()?;
        // Without a length, servers and proxies may wait for the body of a POST or PUT.
        let needs_length =
            *request.body() == Body::Empty && matches!(method, Method::Post | Method::Put);
        let headers = request.headers_mut();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if needs_length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        for (name, value) in job_headers {
            headers.insert(HeaderName::try_from(&*name)?, HeaderValue::try_from(value)?);
        }
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(["Bearer ", token.expose()].concat())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(request)
    }
}
