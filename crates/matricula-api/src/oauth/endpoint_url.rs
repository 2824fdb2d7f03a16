//! Endpoint URLs of an authorization server, from its metadata.

use matricula_core::{Body, Job, Operation, ServerUrl, ServerUrlError};

/// An invalid endpoint URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointUrlError {
    /// It is not a URL.
    #[error("the authorization server cannot be asked: {0}")]
    Malformed(#[from] ServerUrlError),
    /// It has a fragment, which would not be sent.
    #[error("{address} has a fragment, which an endpoint URL must not have")]
    Fragment {
        /// The URL without the fragment.
        address: String,
    },
    /// It is not encrypted, so tokens could be intercepted.
    #[error("{address} is not encrypted: an authorization server needs an https:// URL")]
    NotEncrypted {
        /// The address.
        address: String,
    },
}

/// A checked endpoint URL, split into the parts of a job.
pub(super) struct EndpointUrl<'a> {
    origin: ServerUrl,
    path: &'a str,
    query: &'a str,
}

impl<'a> EndpointUrl<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, EndpointUrlError> {
        let (address, has_fragment) = match text.split_once('#') {
            Some((address, _)) => (address, true),
            None => (text, false),
        };
        let (address, query) = address.split_once('?').unwrap_or((address, ""));
        let server: ServerUrl = address.parse()?;
        let named = || server.as_str().to_owned();
        if has_fragment {
            return Err(EndpointUrlError::Fragment { address: named() });
        }
        if !server.is_https() && !server.is_loopback() {
            return Err(EndpointUrlError::NotEncrypted { address: named() });
        }
        // The path is taken from the text, because `ServerUrl` drops a trailing slash, which is
        // significant here.
        let authority = address.split_once("://").map_or("", |(_, rest)| rest);
        let path = authority.find('/').map_or("", |at| &authority[at..]);
        let origin = server.origin().parse()?;
        Ok(Self {
            origin,
            path,
            query,
        })
    }

    /// A request to this URL. Its own query is preserved.
    pub(super) fn job(&self, operation: &Operation) -> Job {
        let job = Job::for_operation(&self.origin, self.path, operation);
        form_urlencoded::parse(self.query.as_bytes()).fold(job, |job, (name, value)| {
            job.with_query(name.into_owned(), value)
        })
    }

    /// The URL with additional query parameters.
    pub(super) fn with_query<'p>(
        &self,
        pairs: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> String {
        let mut url = format!("{}{}", self.origin, self.path);
        let mut query = form_urlencoded::Serializer::new(self.query.to_owned());
        let query = query.extend_pairs(pairs).finish();
        if !query.is_empty() {
            url.push('?');
            url.push_str(&query);
        }
        url
    }
}

/// A request with a form body. Absent fields are left out.
pub(super) fn form_job<const N: usize>(
    address: &str,
    operation: &Operation,
    fields: [(&str, Option<&str>); N],
) -> Result<Job, EndpointUrlError> {
    let fields = fields.into_iter();
    let given = fields.filter_map(|(name, value)| Some((name, value?)));
    let job = EndpointUrl::parse(address)?.job(operation);
    Ok(job.with_body(Body::form(given)))
}
