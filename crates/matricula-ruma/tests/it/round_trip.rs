//! Round trips: nothing is lost in conversions to ruma and back.

use std::{borrow::Cow, fmt::Debug};

use matricula_api::{
    operations,
    server::{self, ServerEndpoint},
};
use matricula_core::{Body, Job, Method, Response, RetrySafety, ServerUrl};
use matricula_ruma::{Newest, request, response};
use ruma_common::api::{IncomingRequest, IncomingResponse, OutgoingRequest, OutgoingResponse};
use serde_json::Value;

pub(crate) fn server() -> ServerUrl {
    "https://matrix.example.org".parse().unwrap()
}

/// The operation `E`, which ruma calls `R`: a request to this address with this body goes there and
/// back, and so does this answer.
pub(crate) fn hold<E, R, A>(address: &str, body: &Value, answer: &Value)
where
    E: ServerEndpoint + Debug + PartialEq,
    E::Response: Debug + PartialEq,
    R: OutgoingRequest<IncomingResponse = A> + IncomingRequest<OutgoingResponse = A>,
    R::PathBuilder: Newest,
    A: IncomingResponse + OutgoingResponse + Clone,
{
    hold_request::<E, R>(address, &[], json_body(body));
    hold_answer::<E, A>(&Response::new(200, vec![], Body::Json(answer.to_string())));
}

fn json_body(body: &Value) -> Body {
    match body {
        Value::Null => Body::Empty,
        body => Body::Json(body.to_string()),
    }
}

pub(crate) fn hold_request<E, R>(address: &str, headers: &[(&'static str, &str)], body: Body)
where
    E: ServerEndpoint + Debug + PartialEq,
    R: OutgoingRequest + IncomingRequest,
    R::PathBuilder: Newest,
{
    let ours: E = parsed(address, headers, body);
    let theirs: R = request::to_ruma(&ours).unwrap();

    let back: E = request::to_matricula(theirs.clone()).unwrap();
    assert_eq!(back, ours, "ours, ruma's, ours");

    let again: R = request::to_ruma(&back).unwrap();
    let wire = |request: R| request::to_job(request, &server()).unwrap();
    let (first, second) = (wire(theirs.clone()), wire(again));
    assert_eq!(first, second, "ruma's, ours, ruma's");

    // The job has the properties of the operation, and the same request as the type.
    let own = ours.job(&server());
    assert_eq!(facts(&first), facts(&own));
    assert_eq!(first.holds_secret(), own.holds_secret());
    let from_job: R = request::from_job(&own).unwrap();
    assert_eq!(wire(from_job), first, "a job as ruma's request");
}

/// Ruma does not distinguish operations with the same path, so their ids may differ.
fn facts(job: &Job) -> (&str, Method, RetrySafety) {
    let operation = operations()
        .find(|one| one.id == job.operation_id())
        .unwrap();
    (operation.path, job.request_method(), job.retry_safety())
}

pub(crate) fn hold_answer<E, A>(answer: &Response)
where
    E: ServerEndpoint,
    E::Response: Debug + PartialEq,
    A: IncomingResponse + OutgoingResponse + Clone,
{
    let ours = E::read(answer).unwrap();
    let theirs: A = read_theirs(response::to_ruma::<E, A>(&ours));

    let back = response::to_matricula::<E>(theirs.clone()).unwrap();
    assert_eq!(back, ours, "ours, ruma's, ours");

    let again: A = read_theirs(response::to_ruma::<E, A>(&back));
    let first = response::write(theirs).unwrap();
    let second = response::write(again).unwrap();
    assert_eq!(parts(&first), parts(&second), "ruma's, ours, ruma's");

    // Ruma reads the received response like the typed one.
    let from_wire: A = read_theirs(response::read(answer));
    assert_eq!(parts(&response::write(from_wire).unwrap()), parts(&first));
}

/// The content of a response, independent of the order of fields.
fn parts(response: &Response) -> (u16, &[(Cow<'static, str>, String)], Value) {
    let body = response.json_body();
    let body = body.unwrap_or_else(|| response.body().as_bytes().into());
    (response.status_code(), response.headers(), body)
}

fn read_theirs<A, X: std::error::Error>(read: Result<A, X>) -> A {
    read.unwrap_or_else(|error| panic!("ruma cannot read it: {error}"))
}

/// The request of matricula's that this is on the wire.
pub(crate) fn parsed<E: ServerEndpoint>(
    address: &str,
    headers: &[(&'static str, &str)],
    body: Body,
) -> E {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let pairs = form_urlencoded::parse(query.as_bytes());
    let headers = headers.iter();
    let incoming = server::IncomingRequest::new(&E::OPERATION, path)
        .unwrap()
        .with_query(
            pairs
                .map(|(name, value)| (name, value.into_owned()))
                .collect(),
        )
        .with_headers(
            headers
                .map(|(name, value)| ((*name).into(), (*value).to_owned()))
                .collect(),
        )
        .with(body);
    E::read_request(&incoming).unwrap()
}
