//! The bounds of every request.

use std::time::Duration;

use matricula_core::{Body, Job};

/// The bounds of every request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Timeout of a request, from opening a connection to the last byte of the response. Each request
    /// that follows a redirect has its own. A long poll (`timeout` in the query, as of `/sync`) adds
    /// its own wait. 30 s.
    pub timeout: Duration,
    /// Timeout of opening a connection, including the TLS handshake. At most nine tenths of `timeout`.
    /// 10 s.
    pub connect_timeout: Duration,
    /// Largest response in bytes, after decompression. 64 MiB.
    pub max_body_size: usize,
    /// Timeout of a request that sends or fetches a file, and the limit for long polls. 1 h.
    pub file_timeout: Duration,
    /// Largest response that is written to a file, in bytes, after decompression. 256 MiB.
    pub max_file_size: u64,
    /// How many redirects in a row are followed. A request with a token, a body or headers of its own
    /// follows none, unless it fetches a file: then it continues without them. 5.
    pub max_redirects: usize,
    /// Whether requests to other machines may go unencrypted. If `false`, a request to an `http://`
    /// address that is not this machine's is refused before a connection is opened. `false`.
    pub allow_plain_http: bool,
    /// The value of the header `User-Agent`: this library and the operating system. Servers show it, or
    /// a name that they make of it, where a person manages devices.
    pub user_agent: String,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            max_body_size: 64 << 20,
            file_timeout: Duration::from_secs(60 * 60),
            max_file_size: 256 << 20,
            max_redirects: 5,
            allow_plain_http: false,
            user_agent: user_agent(),
        }
    }
}

/// `matricula/0.1.0 (Linux x86_64; Linux)`: the form that authentication services read, with the device
/// and then the operating system.
fn user_agent() -> String {
    let system = match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "macOS",
        "windows" => "Windows",
        "android" => "Android",
        "ios" => "iOS",
        other => other,
    };
    let (version, arch) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    format!("matricula/{version} ({system} {arch}; {system})")
}

impl HttpOptions {
    /// Always shorter than the whole timeout: a connection that never opens carried no request, and
    /// must not look like a missing response.
    pub(crate) fn effective_connect_timeout(&self) -> Duration {
        self.connect_timeout.min(self.timeout - self.timeout / 10)
    }

    /// The timeout of this job's requests.
    pub(crate) fn timeout_of(&self, job: &Job) -> Duration {
        if job.response_file().is_some() || matches!(job.request_body(), Body::File(_)) {
            return self.file_timeout;
        }
        job.long_poll_timeout().map_or(self.timeout, |wait| {
            self.timeout.saturating_add(wait).min(self.file_timeout)
        })
    }
}
