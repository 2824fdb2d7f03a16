//! Letting in a device that has no browser, from one that has.

use std::time::Duration;

use matricula_core::{Api, Job, Method, Operation, Response, RetrySafety, Secret};

use super::{EndpointUrlError, OAuthEndpoint, OAuthError, Scope, endpoint_url::form_job};
use crate::{codec, object::object};

/// Begins the [device authorization grant]: asks for a code that a person takes to a browser.
///
/// [device authorization grant]: https://spec.matrix.org/v1.19/client-server-api/#device-authorisation-grant
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceAuthorizationRequest {
    /// What the server named the client.
    pub client_id: String,
    /// What the client asks to be allowed.
    pub scope: Scope,
}

impl DeviceAuthorizationRequest {
    /// With what must be there.
    pub fn new(client_id: impl Into<String>, scope: Scope) -> Self {
        let client_id = client_id.into();
        Self { client_id, scope }
    }
}

impl OAuthEndpoint for DeviceAuthorizationRequest {
    // A second code is of no harm: nobody has seen the first, and it expires.
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "oauthDeviceAuthorization",
        Method::Post,
        "{device_authorization_endpoint}",
    )
    .with_secrets(&[], &["/device_code"])
    .with_retry_safety(RetrySafety::Idempotent)
    .with_since("1.18");

    type Response = DeviceAuthorization;

    fn job(&self, address: &str) -> Result<Job, EndpointUrlError> {
        let fields = [
            ("client_id", Some(self.client_id.as_str())),
            ("scope", Some(self.scope.as_str())),
        ];
        form_job(address, &Self::OPERATION, fields)
    }

    fn read_success(response: &Response) -> Result<DeviceAuthorization, OAuthError> {
        Ok(codec::read(response)?)
    }
}

object! {
    /// What the person needs, and what the client asks on with.
    pub struct DeviceAuthorization {
        required {
            /// For the [`DeviceCodeGrant`](super::DeviceCodeGrant).
            device_code: Secret = "device_code" as secret,
            /// What the person types into the page.
            user_code: String = "user_code" as text,
            /// The page, in the server's word: check the scheme before opening it.
            verification_uri: String = "verification_uri" as text,
            /// How long the codes are valid.
            expires_in: Duration = "expires_in" as seconds,
        }
        optional {
            /// The page with the code in it, to be opened or shown as a QR code.
            verification_uri_complete: String = "verification_uri_complete" as text,
            /// How long to wait between two questions.
            interval: Duration = "interval" as seconds,
        }
    }
}

impl DeviceAuthorization {
    /// How long to wait between two questions: what the server says, or else five seconds.
    pub fn wait(&self) -> Duration {
        self.interval.unwrap_or(Duration::from_secs(5))
    }
}
