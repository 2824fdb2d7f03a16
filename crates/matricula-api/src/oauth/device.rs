//! The device authorization grant, for devices without a browser.

use std::time::Duration;

use matricula_core::{Api, Job, Method, Operation, Response, RetrySafety, Secret};

use super::{EndpointUrlError, OAuthEndpoint, OAuthError, Scope, endpoint_url::form_job};
use crate::{codec, object::object};

/// Starts the [device authorization grant]: requests a code that the user enters in a browser on
/// another device.
///
/// [device authorization grant]: https://spec.matrix.org/v1.19/client-server-api/#device-authorisation-grant
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceAuthorizationRequest {
    /// The client id that the server assigned.
    pub client_id: String,
    /// The requested scope.
    pub scope: Scope,
}

impl DeviceAuthorizationRequest {
    /// Creates a value from the required fields.
    pub fn new(client_id: impl Into<String>, scope: Scope) -> Self {
        let client_id = client_id.into();
        Self { client_id, scope }
    }
}

impl OAuthEndpoint for DeviceAuthorizationRequest {
    // A second code does no harm: the first one was not shown, and expires.
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

    #[inline]
    fn job(&self, address: &str) -> Result<Job, EndpointUrlError> {
        let fields = [
            ("client_id", Some(self.client_id.as_str())),
            ("scope", Some(self.scope.as_str())),
        ];
        form_job(address, &Self::OPERATION, fields)
    }

    #[inline]
    fn read_success(response: &Response) -> Result<DeviceAuthorization, OAuthError> {
        Ok(codec::read(response)?)
    }
}

object! {
    /// The codes for the user and for the client.
    pub struct DeviceAuthorization {
        required {
            /// For the [`DeviceCodeGrant`](super::DeviceCodeGrant).
            device_code: Secret = "device_code" as secret,
            /// The code that the user enters on the page.
            user_code: String = "user_code" as text,
            /// The page. Chosen by the server: check the scheme before opening it.
            verification_uri: String = "verification_uri" as text,
        }
        optional {
            /// How long the codes are valid. The RFC requires it.
            expires_in: Duration = "expires_in" as seconds,
            /// The page with the code in its URL, to open or to show as a QR code.
            verification_uri_complete: String = "verification_uri_complete" as text,
            /// The polling interval.
            interval: Duration = "interval" as seconds,
        }
    }
}

impl DeviceAuthorization {
    /// The polling interval: what the server says, or five seconds.
    pub fn wait(&self) -> Duration {
        self.interval.unwrap_or(Duration::from_secs(5))
    }
}
