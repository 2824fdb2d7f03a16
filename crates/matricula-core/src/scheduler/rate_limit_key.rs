//! Which requests a server is likely to limit together.

use std::borrow::Cow;

use crate::Job;

/// Identifies a rate limit: requests with the same key share a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RateLimitKey {
    /// Scheme, host and port.
    origin: String,
    kind: Cow<'static, str>,
    /// Whether the request asks the server to wait before it responds.
    pub(super) is_long_poll: bool,
}

impl RateLimitKey {
    pub(super) fn of(job: &Job) -> Self {
        Self {
            origin: origin(job).to_owned(),
            kind: match kind(job.operation_id()) {
                Some(kind) => Cow::Borrowed(kind),
                None => Cow::Owned(job.operation_id().to_owned()),
            },
            is_long_poll: is_long_poll(job),
        }
    }

    /// Whether this is the job's key; allocates nothing.
    pub(super) fn matches(&self, job: &Job) -> bool {
        self.origin == origin(job)
            && self.kind == kind(job.operation_id()).unwrap_or(job.operation_id())
            && self.is_long_poll == is_long_poll(job)
    }
}

fn origin(job: &Job) -> &str {
    let url = job.url();
    // `http://` and `https://` end within 8 bytes, and the host has at least one.
    let end = url.bytes().skip(8).position(|byte| byte == b'/');
    end.and_then(|end| url.get(..8 + end)).unwrap_or(url)
}

fn is_long_poll(job: &Job) -> bool {
    job.long_poll_timeout().is_some_and(|wait| !wait.is_zero())
}

/// Operations that servers limit together; every other operation has a limit of its own.
fn kind(operation_id: &str) -> Option<&'static str> {
    Some(match operation_id {
        "sendMessage" | "setRoomStateWithKey" | "redactEvent" => "events",
        "joinRoom" | "joinRoomById" | "knockRoom" => "joins",
        "inviteUser" | "inviteBy3PID" => "invites",
        "uploadContent" | "uploadContentToMXC" | "createContent" => "uploads",
        _ => return None,
    })
}
