//! Requests that this server sends to others on the same machine or network: plain HTTP, one connection
//! each.

use http::{Method, StatusCode};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use matricula_core::{Secret, ServerUrl};
use tokio::net::TcpStream;

use super::body::Body;

/// Sends a request with a bearer token, and returns the status of the response.
pub(super) async fn send(
    to: &ServerUrl,
    method: Method,
    path: &str,
    token: &Secret,
    body: String,
) -> Result<StatusCode, String> {
    let authority = authority(to);
    let stream = TcpStream::connect(authority).await.map_err(to_text)?;
    let http = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = http.map_err(to_text)?;
    // The task ends once the sender is dropped and the response is read.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, authority)
        .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::bytes(body.into_bytes(), None))
        .map_err(to_text)?;
    let response = sender.send_request(request).await.map_err(to_text)?;
    Ok(response.status())
}

fn to_text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Host and port; the configuration is checked to have plain HTTP.
fn authority(url: &ServerUrl) -> &str {
    let origin = url.origin();
    origin.strip_prefix("http://").unwrap_or(origin)
}
