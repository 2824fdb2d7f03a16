//! How a client introduces itself to an authorization server.

use matricula_core::{Api, Job, Method, Operation, Response, RetrySafety, Secret};

use super::{EndpointUrlError, OAuthEndpoint, OAuthError, endpoint_url::EndpointUrl};
use crate::{
    codec::{self, text_enum},
    object::object,
};

/// [Introduces a client] to the server, which names it. It is done anew for each authorization.
///
/// [Introduces a client]: https://spec.matrix.org/v1.19/client-server-api/#client-registration
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterClient {
    /// What the client says of itself.
    pub metadata: ClientMetadata,
}

impl RegisterClient {
    /// With what must be there.
    pub fn new(metadata: ClientMetadata) -> Self {
        Self { metadata }
    }
}

impl OAuthEndpoint for RegisterClient {
    // A second registration is of no harm: servers drop those that nobody uses.
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "oauthRegisterClient",
        Method::Post,
        "{registration_endpoint}",
    )
    .with_secrets(&[], &["/client_secret", "/registration_access_token"])
    .with_retry_safety(RetrySafety::Idempotent)
    .with_since("1.15");

    type Response = ClientRegistration;

    fn job(&self, address: &str) -> Result<Job, EndpointUrlError> {
        let job = EndpointUrl::parse(address)?.job(&Self::OPERATION);
        Ok(job.with_body(codec::body(&self.metadata)))
    }

    fn read_success(response: &Response) -> Result<ClientRegistration, OAuthError> {
        Ok(codec::read(response)?)
    }
}

object! {
    /// What a client says of itself: its [metadata]. What people read may be there in other languages
    /// too, in [`extra`](Self::extra): `client_name#fr`.
    ///
    /// [metadata]: https://spec.matrix.org/v1.19/client-server-api/#client-metadata
    pub struct ClientMetadata {
        required {
            /// A page about the client. The other addresses are on its host, or below it.
            client_uri: String = "client_uri" as text,
        }
        optional {
            /// The client's name, for people.
            client_name: String = "client_name" as text,
            /// Its logo.
            logo_uri: String = "logo_uri" as text,
            /// Its terms of service.
            tos_uri: String = "tos_uri" as text,
            /// Its privacy policy.
            policy_uri: String = "policy_uri" as text,
            /// Where a browser may be led back to.
            redirect_uris: Vec<String> = "redirect_uris",
            /// `code`, to be let in by a browser.
            response_types: Vec<String> = "response_types",
            /// The grants that it will use.
            grant_types: Vec<GrantType> = "grant_types",
            /// How it proves itself when it asks for tokens: `none`, unless it can keep a secret.
            token_endpoint_auth_method: String = "token_endpoint_auth_method" as text,
            /// What it is; decides which redirections are allowed. A web page where nothing is said.
            application_type: ApplicationType = "application_type",
        }
    }
}

impl ClientMetadata {
    /// A client without a secret that is let in by a browser, which leads back to `redirect_uri`.
    pub fn browser(
        client_uri: impl Into<String>,
        application_type: ApplicationType,
        redirect_uri: impl Into<String>,
    ) -> Self {
        Self::new(client_uri)
            .application_type(application_type)
            .redirect_uris(vec![redirect_uri.into()])
            .response_types(vec!["code".to_owned()])
            .grant_types(vec![GrantType::AuthorizationCode, GrantType::RefreshToken])
            .token_endpoint_auth_method("none")
    }

    /// A client without a secret that is let in from another device.
    pub fn device(client_uri: impl Into<String>) -> Self {
        Self::new(client_uri)
            .application_type(ApplicationType::Native)
            .grant_types(vec![GrantType::DeviceCode, GrantType::RefreshToken])
            .token_endpoint_auth_method("none")
    }
}

object! {
    /// What the server made of a client's metadata. It may have left out what it does not support.
    ///
    /// The metadata that decide nothing further are in [`extra`](Self::extra).
    pub struct ClientRegistration {
        required {
            /// What the server named the client.
            client_id: String = "client_id" as text,
        }
        optional {
            /// The client's secret, if it is to have one.
            client_secret: Secret = "client_secret" as secret,
            /// When the secret ends, in seconds since 1970; 0 is never.
            client_secret_expires_at: u64 = "client_secret_expires_at",
            /// What the registration can be changed with.
            registration_access_token: Secret = "registration_access_token" as secret,
            /// Where a browser may be led back to.
            redirect_uris: Vec<String> = "redirect_uris",
            /// The grants that it may use.
            grant_types: Vec<GrantType> = "grant_types",
        }
    }
}

text_enum! {
    /// A [way to tokens](https://spec.matrix.org/v1.19/client-server-api/#grant-types).
    pub enum GrantType {
        /// By a browser.
        AuthorizationCode = "authorization_code",
        /// By another device.
        DeviceCode = "urn:ietf:params:oauth:grant-type:device_code",
        /// By an earlier token.
        RefreshToken = "refresh_token",
    }
}

text_enum! {
    /// What a client is.
    pub enum ApplicationType {
        /// A program on somebody's device.
        Native = "native",
        /// A web page.
        Web = "web",
    }
}
