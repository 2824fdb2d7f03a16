//! Conversions of responses and errors.

use std::time::Duration;

use http::StatusCode;
use matricula_api::{
    ApiError, Endpoint, MatrixError, client::logout::Logout, server::ServerEndpoint,
};
use matricula_core::{Body, Response};
use ruma_common::api::{
    EndpointError, IncomingResponse, IncomingResponseExt, OutgoingResponse,
    error::FromHttpResponseError,
};
use serde_json::{Map, Value, json};

use crate::{
    Error,
    message::{content_of, header_of, headers_from},
};

/// Reads a response as ruma's type.
///
/// For a file that the runner wrote to disk, the body is empty.
///
/// # Errors
/// Ruma's error for a failure, including [user-interactive authentication], and for an invalid
/// success.
///
/// [user-interactive authentication]: https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
pub fn read<R: IncomingResponse>(
    response: &Response,
) -> Result<R, FromHttpResponseError<R::EndpointError>> {
    R::try_from_http_response(http_of(
        response.status_code(),
        response.headers(),
        response.body().as_bytes(),
    ))
}

/// A response of a server that uses ruma (success or error), as a received response.
///
/// # Errors
/// If ruma cannot serialise it.
pub fn write(response: impl OutgoingResponse) -> Result<Response, Error> {
    let response = response.try_into_http_response_inner();
    let (head, body) = response.map_err(Error::Write)?.into_parts();
    let mut headers = head.headers;
    let bytes = content_of(body, &mut headers)?;
    // As runners do: text may be JSON.
    let body = match String::from_utf8(bytes) {
        Ok(text) => Body::Json(text),
        Err(error) => Body::Bytes(error.into_bytes()),
    };
    let status = head.status.as_u16();
    Ok(Response::new(status, header_of(&headers), body))
}

/// A response of the operation `E` as ruma's type.
///
/// # Errors
/// The error of ruma.
pub fn to_ruma<E: ServerEndpoint, R: IncomingResponse>(
    response: &E::Response,
) -> Result<R, FromHttpResponseError<R::EndpointError>> {
    let reply = E::write_success(response);
    R::try_from_http_response(http_of(reply.status, &reply.headers, &reply.body))
}

/// A ruma response as the response of the operation `E`.
///
/// # Errors
/// [`Error::Api`] if it is an error or invalid; otherwise the reason why ruma cannot serialise it.
pub fn to_matricula<E: Endpoint>(response: impl OutgoingResponse) -> Result<E::Response, Error> {
    Ok(E::read(&write(response)?)?)
}

/// A matricula error as ruma's type.
///
/// # Errors
/// [`Error::NotSaid`] for an invalid response, which is not an error of the server.
pub fn error_to_ruma<X: EndpointError>(error: &ApiError) -> Result<X, Error> {
    let (status, body) = match error {
        ApiError::Matrix(error) => (error.status, standard(error)),
        ApiError::Uia(info) => (401, json!(info)),
        ApiError::RateLimited { retry_after, error } => limited(*retry_after, error.as_deref()),
        ApiError::UnexpectedStatus { status } => (*status, Value::Null),
        other => return Err(Error::NotSaid(other.clone())),
    };
    let body = match body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    let json = [("content-type", "application/json".to_owned())];
    Ok(X::from_http_response(http_of(status, &json, &body)))
}

/// A ruma error as matricula's type.
///
/// # Errors
/// If ruma cannot serialise it, or if its status is that of a success.
pub fn error_to_matricula(error: impl EndpointError) -> Result<ApiError, Error> {
    let response = write(error)?;
    // All operations read failures in the same way.
    match Logout::read(&response) {
        Err(error) => Ok(error),
        Ok(_) => Err(Error::NoError(response.status_code())),
    }
}

fn standard(error: &MatrixError) -> Value {
    let mut body = Map::clone(&error.extra);
    body.insert("errcode".to_owned(), error.code.as_str().into());
    body.insert("error".to_owned(), error.message.as_str().into());
    body.into()
}

fn limited(wait: Option<Duration>, error: Option<&MatrixError>) -> (u16, Value) {
    let (status, mut body) = match error {
        Some(error) => (error.status, standard(error)),
        None => {
            let body = json!({"errcode": "M_LIMIT_EXCEEDED", "error": "Too many requests"});
            (429, body)
        }
    };
    if let Some(wait) = wait {
        body["retry_after_ms"] = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).into();
    }
    (status, body)
}

/// The response as a type of the `http` crate, which rejects only values that HTTP does not allow.
fn http_of<'a, N: AsRef<str>>(
    status: u16,
    header: &[(N, String)],
    body: &'a [u8],
) -> http::Response<&'a [u8]> {
    let mut response = http::Response::new(body);
    let status = StatusCode::from_u16(status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers_from(header);
    response
}
