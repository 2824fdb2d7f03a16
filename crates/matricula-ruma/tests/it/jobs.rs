//! Ruma's requests as jobs: whose credential, which secrets, when again, to where.

use matricula_api::client::{
    inviting::InviteUser, room_send::SendMessage, room_state::SendStateEvent,
    third_party_membership::InviteBy3Pid,
};
use matricula_core::{Auth, Body, CredentialRef, Job, MASK, Method, RetrySafety};
use matricula_ruma::{Error, Newest, TakesToken, request};
use ruma_client_api::{
    account::{register, whoami},
    dehydrated_device::get_events,
    membership::invite_user,
    message::send_message_event,
    room::get_summary,
    session::{login, logout},
    state::send_state_event,
    uiaa::{MatrixUserIdentifier, UserIdentifier},
};
use ruma_common::{
    RoomId,
    api::{IncomingRequest, OutgoingRequest},
};
use serde_json::json;

use crate::round_trip::{parsed, server};

fn credential() -> CredentialRef {
    CredentialRef::new("alice")
}

fn job_as<R>(request: R) -> Job
where
    R: OutgoingRequest,
    R::PathBuilder: Newest,
    R::Authentication: TakesToken,
{
    request::to_job_as(request, &server(), &credential()).unwrap()
}

fn a_login() -> login::v3::Request {
    let user = UserIdentifier::Matrix(MatrixUserIdentifier::new("alice".into()));
    let password = login::v3::Password::new(user, "wordpass".into());
    login::v3::Request::new(login::v3::LoginInfo::Password(password))
}

#[test]
fn credential_is_named_but_not_carried() {
    let room: &RoomId = "!a:example.org".try_into().unwrap();
    let whoami = job_as(whoami::v3::Request::new());
    assert_eq!(whoami.auth(), &Auth::Required(credential()));
    let summary = job_as(get_summary::v1::Request::new(
        room.to_owned().into(),
        vec![],
    ));
    assert_eq!(summary.auth(), &Auth::Optional(credential()));
    assert_eq!(job_as(a_login()).auth(), &Auth::None);
    assert_eq!(job_as(register::v3::Request::new()).auth(), &Auth::None);
    for job in [whoami, summary, job_as(logout::v3::Request::new())] {
        assert!(!job.holds_secret());
        assert_eq!(job.request_headers(), []);
        assert!(
            job.request_query()
                .iter()
                .all(|(name, _)| name != "access_token")
        );
    }
    let without = request::to_job(whoami::v3::Request::new(), &server()).unwrap();
    assert_eq!(without.auth(), &Auth::None);
}

#[test]
fn secrets_follow_the_operation() {
    let job = request::to_job(a_login(), &server()).unwrap();
    assert!(job.holds_secret());
    assert!(
        !job.masked_body().contains("wordpass"),
        "{}",
        job.masked_body()
    );
    assert!(job.masked_body().contains("alice"), "{}", job.masked_body());
    assert!(serde_json::to_string(&job).is_err());
}

#[test]
fn shared_path_uses_careful_properties() {
    let path = "/_matrix/client/v3/rooms/!a:example.org/invite";
    let body = json!({"user_id": "@bob:example.org"});
    let user: InviteUser = parsed(path, &[], Body::Json(body.to_string()));
    let user: invite_user::v3::Request = request::to_ruma(&user).unwrap();
    let job = request::to_job(user, &server()).unwrap();
    assert_eq!(
        (job.operation_id(), job.holds_secret()),
        ("inviteUser", false)
    );

    let body = json!({
        "id_server": "id.example.org", "id_access_token": "t0k3n", "medium": "email",
        "address": "bob@example.org",
    });
    let address: InviteBy3Pid = parsed(path, &[], Body::Json(body.to_string()));
    let address: invite_user::v3::Request = request::to_ruma(&address).unwrap();
    let job = request::to_job(address, &server()).unwrap();
    assert!(job.holds_secret());
    assert!(
        !job.masked_body().contains("t0k3n"),
        "{}",
        job.masked_body()
    );
}

#[test]
fn retry_safety_follows_the_operation() {
    let retry = |job: Result<Job, Error>| job.unwrap().retry_safety();
    assert_eq!(
        retry(request::to_job(logout::v3::Request::new(), &server())),
        RetrySafety::Idempotent
    );
    assert_eq!(
        retry(request::to_job(register::v3::Request::new(), &server())),
        RetrySafety::OnlyIfNotProcessed
    );
    let message: SendMessage = parsed(
        "/_matrix/client/v3/rooms/!a:example.org/send/m.room.message/1",
        &[],
        Body::Json("{}".to_owned()),
    );
    let message: send_message_event::v3::Request = request::to_ruma(&message).unwrap();
    assert_eq!(
        retry(request::to_job(message, &server())),
        RetrySafety::TxnId
    );
}

#[test]
fn unknown_operation_is_handled_carefully() {
    let mut request = get_events::unstable::Request::new("D".into());
    request.next_batch = Some("t0k3n".to_owned());
    let job = job_as(request);
    assert_eq!(
        job.url(),
        "https://matrix.example.org/_matrix/client/unstable/org.matrix.msc3814.v1\
         /dehydrated_device/D/events"
    );
    assert_eq!(job.request_method(), Method::Post);
    assert_eq!(job.retry_safety(), RetrySafety::OnlyIfNotProcessed);
    assert_eq!(job.auth(), &Auth::Required(credential()));
    assert_eq!(job.masked_body(), json!({"next_batch": MASK}).to_string());
    assert!(job.holds_secret());
}

#[test]
fn dot_segments_are_encoded_twice() {
    for (key, segment) in [(".", "%252E"), ("..", "%252E%252E"), ("..a", "..a")] {
        let request = get_events::unstable::Request::new(key.into());
        let job = request::to_job(request, &server()).unwrap();
        let end = format!("/dehydrated_device/{segment}/events");
        assert!(job.url().ends_with(&end), "{}", job.url());
    }
}

#[test]
fn server_paths_and_old_paths_match() {
    let server = "https://example.org/matrix/a".parse().unwrap();
    let job = request::to_job(whoami::v3::Request::new(), &server).unwrap();
    assert_eq!(
        job.url(),
        "https://example.org/matrix/a/_matrix/client/v3/account/whoami"
    );
    request::from_job::<whoami::v3::Request>(&job).unwrap();

    let old = "/_matrix/client/r0/rooms/%21a%3Aexample.org/state/m.room.name/a%2Fb";
    let job = Job::new(&server, old, Method::Put, "old").with_body(Body::Json("{}".to_owned()));
    let request: send_state_event::v3::Request = request::from_job(&job).unwrap();
    assert_eq!(request.room_id, "!a:example.org");
    assert_eq!(request.state_key, "a/b");
    let new: SendStateEvent = request::to_matricula(request).unwrap();
    assert_eq!(new.state_key, "a/b");
}

fn refusal<R: IncomingRequest>(job: &Job) -> Error {
    match request::from_job::<R>(job) {
        Ok(_) => panic!("ruma took {job:?}"),
        Err(error) => error,
    }
}

#[test]
fn other_operation_is_rejected() {
    let job = request::to_job(whoami::v3::Request::new(), &server()).unwrap();
    let error = refusal::<logout::v3::Request>(&job);
    assert_eq!(
        error.to_string(),
        "GET /_matrix/client/v3/account/whoami is not a request to \
         POST /_matrix/client/v3/logout"
    );
    let other = Job::new(
        &server(),
        "/_matrix/client/v3/account/whoami",
        Method::Put,
        "other",
    );
    let error = refusal::<whoami::v3::Request>(&other);
    assert!(matches!(error, Error::OtherOperation { .. }), "{error:?}");

    let ours = request::to_matricula::<SendMessage, _>(whoami::v3::Request::new());
    assert!(
        matches!(ours, Err(Error::OtherOperation { .. })),
        "{ours:?}"
    );
}

#[test]
fn error_of_ruma_hides_secrets() {
    let path = "/_matrix/client/v3/login";
    let body = Body::Json(r#"{"type": "m.login.password", "password": ["wordpass"]}"#.to_owned());
    let job = Job::new(&server(), path, Method::Post, "login").with_body(body);
    let error = refusal::<login::v3::Request>(&job);
    assert!(matches!(error, Error::Read(_)), "{error:?}");
    assert!(!error.to_string().contains("wordpass"), "{error}");
}
