//! The jobs of a run.

use matricula_core::{Auth, Body, CredentialRef, Job, Method, ServerUrl};

use crate::{
    oracle::queue_name,
    plan::{JobKind, Submission, policy},
};

#[allow(clippy::expect_used)]
pub(crate) fn server_url() -> ServerUrl {
    "https://matrix.example.org".parse().expect("a valid URL")
}

/// The job of this number.
pub(crate) fn job(server: &ServerUrl, number: usize, submission: Submission) -> Job {
    let (path, method, id) = match submission.kind {
        JobKind::SendMessage => ("rooms/r/send/m.room.message", Method::Put, "sendMessage"),
        JobKind::CreateRoom => ("createRoom", Method::Post, "createRoom"),
        JobKind::SetProfile => ("profile/alice/displayname", Method::Put, "setProfileField"),
        JobKind::LongPoll => ("sync", Method::Get, "sync"),
    };
    let path = format!("/_matrix/client/v3/{path}/{number}");
    let job = Job::new(server, &path, method, id)
        .with_retry_safety(submission.kind.retry_safety())
        .with_auth(Auth::Required(CredentialRef::new("alice")))
        .with_data(serde_json::json!({ "number": number }));
    let job = match submission.kind {
        JobKind::LongPoll => job.with_query("timeout", "30000"),
        JobKind::SendMessage => job.with_body(Body::Json("{}".to_owned())),
        _ => job,
    };
    match submission.queue {
        Some(queue) => job.with_queue(queue_name(queue), policy(queue)),
        None => job,
    }
}
