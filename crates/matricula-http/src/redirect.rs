//! Decides whether a redirect may be followed.

use http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION};
use matricula_core::{
    Body, Job, Method, Processed, ResponseFormat, Secret, TransportError, TransportErrorKind,
};

use crate::address::Address;

/// Where to send the next request, without the token and the job's headers; `None` if the response is
/// not a redirect.
///
/// # Errors
/// If the redirect must not be followed.
pub(crate) fn follow(
    job: &Job,
    token: Option<&Secret>,
    address: &Address,
    (status, headers): (StatusCode, &HeaderMap),
) -> Result<Option<Address>, TransportError> {
    if *job.response_format() == ResponseFormat::Location {
        return Ok(None);
    }
    let status = status.as_u16();
    let is_redirect = matches!(status, 301 | 302 | 303 | 307 | 308);
    let Some(location) = headers.get(LOCATION).filter(|_| is_redirect) else {
        return Ok(None);
    };
    let next = target(address, location).and_then(|next| {
        // A server must not be able to send a password or token elsewhere.
        let has_no_body = job.request_method() == Method::Get && *job.request_body() == Body::Empty;
        let is_plain = token.is_none() && job.request_headers().is_empty();
        // Media servers redirect to storage that needs neither.
        let is_download = matches!(
            job.response_format(),
            ResponseFormat::Bytes | ResponseFormat::File(_)
        );
        if has_no_body && (is_plain || is_download) {
            Ok(next)
        } else {
            Err(format!("to {}: use that address instead", next.origin()))
        }
    });
    next.map(Some).map_err(|what| TransportError {
        kind: TransportErrorKind::Redirect,
        // With 302 and 303 a server may also point to the result of what it has done.
        processed: match status {
            302 | 303 => Processed::Maybe,
            _ => Processed::No,
        },
        message: format!("{} redirects {what}", address.origin()),
    })
}

/// The error of a request that was redirected too often.
pub(crate) fn too_many(address: &Address, redirects: usize) -> TransportError {
    TransportError {
        kind: TransportErrorKind::Redirect,
        processed: Processed::No,
        message: format!(
            "{} is one of more than {redirects} redirects in a row",
            address.origin()
        ),
    }
}

fn target(address: &Address, location: &HeaderValue) -> Result<Address, String> {
    let next = location
        .to_str()
        .ok()
        .and_then(|location| address.resolve(location))
        .ok_or("to an address that is not an http or https server")?;
    if address.is_https() && !next.is_https() {
        return Err(format!(
            "from https to {}, without encryption",
            next.origin()
        ));
    }
    if next.server().is_private() && !address.server().is_private() {
        return Err(format!("to {}, a private address", next.origin()));
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::address;

    fn target_from(url: &str, location: &str) -> Result<String, String> {
        let location = HeaderValue::from_str(location).unwrap();
        let next = target(&address(url), &location);
        next.map(|next| next.uri().to_string())
    }

    #[test]
    fn redirect_resolves_its_location() {
        for (url, location, next) in [
            ("http://a.example/b?c=d", "/e", "http://a.example/e"),
            ("http://a.example/b/c", "d", "http://a.example/b/d"),
            ("http://a.example", "//b.example", "http://b.example/"),
            (
                "http://a.example",
                "https://b.example/c",
                "https://b.example/c",
            ),
            ("http://127.0.0.1:1", "http://[::1]:2/", "http://[::1]:2/"),
        ] {
            assert_eq!(
                target_from(url, location).as_deref(),
                Ok(next),
                "{location}"
            );
        }
    }

    #[test]
    fn redirect_target_must_be_server() {
        for location in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:,x",
            "mailto:alice@a.example",
            "http://",
            "http://alice@b.example",
            "http://:wordpass@b.example",
            // Some parsers read 127.0.0.1.
            "http://127.1",
            "http://2130706433",
        ] {
            let error = target_from("http://a.example", location).unwrap_err();
            assert_eq!(
                error, "to an address that is not an http or https server",
                "{location}"
            );
        }
    }

    #[test]
    fn redirect_keeps_encryption() {
        let error = target_from("https://a.example", "http://a.example/").unwrap_err();
        assert_eq!(error, "from https to http://a.example, without encryption");
    }

    #[test]
    fn redirect_never_enters_private_network() {
        for host in [
            "localhost",
            "matrix.localhost",
            "127.0.0.1",
            "10.1.2.3",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:127.0.0.1]",
        ] {
            let error = target_from("https://a.example", &format!("https://{host}")).unwrap_err();
            assert!(error.ends_with(", a private address"), "{host}: {error}");
        }
    }
}
