//! The bounds of every request.

use std::time::Duration;

use matricula_core::{Body, Job};

/// The bounds of every request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpOptions {
    /// How long a request may take, from opening a connection to its answer's last byte. A
    /// redirection that is followed is a request of its own. 30 s, and longer by what the request
    /// itself asks the server to wait for news (`timeout` in the query, as of `/sync`).
    pub timeout: Duration,
    /// How long opening a connection may take, the TLS handshake included. 10 s, and at most nine
    /// tenths of `timeout`.
    pub connect_timeout: Duration,
    /// The largest answer, in bytes after decompression. 64 MiB.
    pub max_body_size: usize,
    /// How long a request that carries or fetches a file may take, or waits for news. 1 h.
    pub file_timeout: Duration,
    /// The largest answer that is written to a file, in bytes. 4 GiB.
    pub max_file_size: u64,
    /// How many redirections in a row are followed. Where a request carries a token, a body or
    /// headers of its own, none is, but by one that fetches a file: it goes on without them. 5.
    pub max_redirects: usize,
    /// Whether requests may go unencrypted to other machines than this one. `false`: then one to an
    /// `http://` address that is not this machine's own is refused before a connection is opened.
    pub allow_plain_http: bool,
    /// How the program names itself to servers.
    pub user_agent: String,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            max_body_size: 64 << 20,
            file_timeout: Duration::from_secs(60 * 60),
            max_file_size: 4 << 30,
            max_redirects: 5,
            allow_plain_http: false,
            user_agent: concat!("matricula/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl HttpOptions {
    /// Always less than the whole: a connection that never opens carried no request, and must not
    /// look like an answer that never came.
    pub(crate) fn time_to_connect(&self) -> Duration {
        self.connect_timeout.min(self.timeout - self.timeout / 10)
    }

    /// How long a request may take.
    pub(crate) fn time_for(&self, job: &Job) -> Duration {
        if job.response_file().is_some() || matches!(job.request_body(), Body::File(_)) {
            return self.file_timeout;
        }
        job.long_poll_timeout().map_or(self.timeout, |wait| {
            self.timeout.saturating_add(wait).min(self.file_timeout)
        })
    }
}
