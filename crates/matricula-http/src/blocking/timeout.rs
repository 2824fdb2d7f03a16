//! The time that is left for opening a connection.

use ureq::unversioned::transport::{
    ConnectionDetails, NextTimeout,
    time::{Duration, Instant},
};

/// The rest of the time within which the connection must be open.
pub(crate) fn time_left(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    let (Duration::Exact(whole), Instant::Exact(start), Instant::Exact(now)) =
        (timeout.after, details.now, (details.current_time)())
    else {
        return timeout;
    };
    let gone = now.saturating_duration_since(start);
    timeout.after = Duration::Exact(whole.saturating_sub(gone));
    timeout
}
