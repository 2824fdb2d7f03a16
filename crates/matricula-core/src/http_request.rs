//! A job as a request of the `http` crate, for HTTP clients of other makes.

use http::{
    HeaderName, HeaderValue, Request, Uri,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE},
};

use crate::{Body, Job, Method, Secret};

impl Job {
    /// The request as it goes over the wire, with this token. A body that is a file is left for
    /// whoever sends it to open.
    ///
    /// It trusts the address to be what it seems: a job that strangers may have made wants its
    /// address parsed by the HTTP client's own parser too, and compared.
    ///
    /// # Errors
    /// Where the address is none, or a header or the token has characters that no header can carry.
    pub fn into_http(self, token: Option<&Secret>) -> Result<Request<Body>, http::Error> {
        let (url, query, header, method, body) = self.into_parts();
        let mut request = Request::new(body);
        *request.method_mut() = method.into();
        *request.uri_mut() = Uri::try_from(match query.is_empty() {
            true => url,
            false => {
                let start = url.len() + 1;
                let mut pairs = form_urlencoded::Serializer::for_suffix(url + "?", start);
                pairs.extend_pairs(query).finish()
            }
        })?;
        let content = request.body().content_type();
        let content = content.map(HeaderValue::try_from).transpose()?;
        // Servers and proxies may wait for the body of a method that usually has one.
        let is_bare =
            *request.body() == Body::Empty && matches!(method, Method::Post | Method::Put);
        let headers = request.headers_mut();
        if let Some(content) = content {
            headers.insert(CONTENT_TYPE, content);
        }
        if is_bare {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        for (name, value) in header {
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
