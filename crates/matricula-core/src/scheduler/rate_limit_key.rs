//! Which requests a server is likely to count together.

use std::borrow::Cow;

use crate::Job;

/// Requests to one server that share a pace: what a server limits, it limits by kinds like these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RateLimitKey {
    /// Scheme, host and port.
    pub(super) origin: String,
    pub(super) kind: Cow<'static, str>,
    /// Whether the server is asked to wait for news before it answers.
    pub(super) polls: bool,
}

impl RateLimitKey {
    pub(super) fn of(job: &Job) -> Self {
        Self {
            origin: origin(job).to_owned(),
            kind: match kind(job.operation_id()) {
                Some(kind) => Cow::Borrowed(kind),
                None => Cow::Owned(job.operation_id().to_owned()),
            },
            polls: polls(job),
        }
    }

    /// Whether the job is of this class, without making anything.
    pub(super) fn matches(&self, job: &Job) -> bool {
        self.origin == origin(job)
            && self.kind == kind(job.operation_id()).unwrap_or(job.operation_id())
            && self.polls == polls(job)
    }
}

fn origin(job: &Job) -> &str {
    let url = job.url();
    // Both schemes that there are have ended by then, and no host has.
    let end = url.bytes().skip(8).position(|byte| byte == b'/');
    end.and_then(|end| url.get(..8 + end)).unwrap_or(url)
}

fn polls(job: &Job) -> bool {
    job.long_poll_timeout().is_some_and(|wait| !wait.is_zero())
}

/// Operations that servers count together; any other is counted alone.
fn kind(operation_id: &str) -> Option<&'static str> {
    Some(match operation_id {
        "sendMessage" | "setRoomStateWithKey" | "redactEvent" => "events",
        "joinRoom" | "joinRoomById" | "knockRoom" => "joins",
        "inviteUser" | "inviteBy3PID" => "invites",
        "uploadContent" | "uploadContentToMXC" | "createContent" => "uploads",
        _ => return None,
    })
}
