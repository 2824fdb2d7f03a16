//! Limits on connections and on memory.

use std::time::Duration;

/// The limits of a [`Server`](crate::Server) on connections and on memory. They bound what clients
/// that are slow, silent or hostile can take away from others.
///
/// An address is an IPv4 address or an IPv6 network of 64 bits. It may be a whole office, or a proxy
/// in front of the server: its share is large, and never all.
///
/// | what | limit | beyond it |
/// |---|---|---|
/// | open connections | [`connections`](Self::connections) | the connection that has waited longest for its client is closed; where all are being served, a new one waits |
/// | open connections of an address | [`connections_per_address`](Self::connections_per_address) | the same, among those of the address; where all are being served, a new one is closed |
/// | requests that are handled at once | [`requests`](Self::requests), half of them for an address | more wait |
/// | a request's head, a silent connection | [`idle_timeout`](Self::idle_timeout) | the connection is closed |
/// | a request's body | [`body_timeout`](Self::body_timeout) | 408 |
/// | bytes of the bodies that are received | [`bodies`](Self::bodies), half of them for an address | 429 `M_LIMIT_EXCEEDED` |
/// | bytes of the responses that are written | [`responses`](Self::responses), half of them for an address | 429 `M_LIMIT_EXCEEDED` |
/// | a response that its client does not read | [`stall_timeout`](Self::stall_timeout) | the connection is closed |
///
/// Bodies of at most 16 KiB count for neither number of bytes: small requests and responses succeed
/// where large ones must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// The number of connections that may be open.
    pub connections: usize,
    /// The number of connections that may be open from one address.
    pub connections_per_address: usize,
    /// The number of requests that are handled at once. Requests that wait for something, such as a
    /// sync, do not count.
    pub requests: usize,
    /// The bytes of the bodies of requests that are received or handled.
    pub bodies: usize,
    /// The bytes of the responses that are written. A response that is larger than the share of an
    /// address takes the whole share.
    pub responses: usize,
    /// How long the head of a request may take, from the beginning of the connection or the end of the
    /// last response.
    pub idle_timeout: Duration,
    /// How long the body of a request may take. The body of an upload may take as long for each part.
    pub body_timeout: Duration,
    /// How long the client may take to read 64 KiB of a response, or the rest.
    pub stall_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_address: 384,
            requests: 64,
            bodies: 16 * 1024 * 1024,
            responses: 24 * 1024 * 1024,
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
        }
    }
}
