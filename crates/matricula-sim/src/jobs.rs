//! What a program asks for, as jobs.

use matricula_core::{Auth, Body, CredentialRef, Job, Method, ServerUrl};

use crate::{
    ledger::queue_name,
    plan::{Kind, Submission, policy},
};

#[allow(clippy::expect_used)]
pub(crate) fn server_url() -> ServerUrl {
    "https://matrix.example.org"
        .parse()
        .expect("it is an address")
}

/// The job of this number.
pub(crate) fn job(server: &ServerUrl, number: usize, submission: Submission) -> Job {
    let (path, method, id) = match submission.kind {
        Kind::Message => ("rooms/r/send/m.room.message", Method::Put, "sendMessage"),
        Kind::Room => ("createRoom", Method::Post, "createRoom"),
        Kind::Profile => ("profile/alice/displayname", Method::Put, "setProfileField"),
        Kind::News => ("sync", Method::Get, "sync"),
    };
    let path = format!("/_matrix/client/v3/{path}/{number}");
    let job = Job::new(server, &path, method, id)
        .with_retry_safety(submission.kind.retry())
        .with_auth(Auth::Required(CredentialRef::new("alice")))
        .with_data(serde_json::json!({ "number": number }));
    let job = match submission.kind {
        Kind::News => job.with_query("timeout", "30000"),
        Kind::Message => job.with_body(Body::Json("{}".to_owned())),
        _ => job,
    };
    match submission.queue {
        Some(queue) => job.with_queue(queue_name(queue), policy(queue)),
        None => job,
    }
}
