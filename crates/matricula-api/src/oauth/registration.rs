//! How a client introduces itself to an authorization server.

use matricula_core::{Api, Job, Method, Operation, Response, RetrySafety, Secret};

use super::{EndpointUrlError, OAuthEndpoint, OAuthError, endpoint_url::EndpointUrl};
use crate::{
    LenientList,
    codec::{self, text_enum},
    object::object,
};

/// [Registers a client] with the server, which assigns a client id. Repeated for each authorization.
///
/// [Registers a client]: https://spec.matrix.org/v1.19/client-server-api/#client-registration
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterClient {
    /// The metadata of the client.
    pub metadata: ClientMetadata,
}

impl RegisterClient {
    /// Creates a value from the required fields.
    pub fn new(metadata: ClientMetadata) -> Self {
        Self { metadata }
    }
}

impl OAuthEndpoint for RegisterClient {
    // A second registration does no harm: servers delete unused ones.
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

    #[inline]
    fn job(&self, address: &str) -> Result<Job, EndpointUrlError> {
        let job = EndpointUrl::parse(address)?.job(&Self::OPERATION);
        Ok(job.with_body(codec::body(&self.metadata)))
    }

    #[inline]
    fn read_success(response: &Response) -> Result<ClientRegistration, OAuthError> {
        Ok(codec::read(response)?)
    }
}

object! {
    /// The [metadata] of a client. Texts for people may have translations too, in
    /// [`extra`](Self::extra): `client_name#fr`.
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
            /// The redirect URIs.
            redirect_uris: Vec<String> = "redirect_uris",
            /// `code`, for the authorization code grant.
            response_types: Vec<String> = "response_types",
            /// The grants that it will use.
            grant_types: Vec<GrantType> = "grant_types",
            /// How the client authenticates at the token endpoint: `none`, unless it can keep a
            /// secret.
            token_endpoint_auth_method: String = "token_endpoint_auth_method" as text,
            /// The kind of application, which determines the allowed redirect URIs. Absent means
            /// web.
            application_type: ApplicationType = "application_type",
        }
    }
}

impl ClientMetadata {
    /// A public client that uses the authorization code grant with this redirect URI.
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

    /// A public client that uses the device authorization grant.
    pub fn device(client_uri: impl Into<String>) -> Self {
        Self::new(client_uri)
            .application_type(ApplicationType::Native)
            .grant_types(vec![GrantType::DeviceCode, GrantType::RefreshToken])
            .token_endpoint_auth_method("none")
    }
}

object! {
    /// The registered client. The server may have dropped metadata that it does not support.
    ///
    /// The metadata that decide nothing further are in [`extra`](Self::extra).
    pub struct ClientRegistration {
        required {
            /// The client id that the server assigned.
            client_id: String = "client_id" as text,
        }
        optional {
            /// The client secret, if the server assigned one.
            client_secret: Secret = "client_secret" as secret,
            /// When the secret expires, in seconds since 1970; 0 means never.
            client_secret_expires_at: u64 = "client_secret_expires_at",
            /// The token to change the registration.
            registration_access_token: Secret = "registration_access_token" as secret,
            /// The redirect URIs.
            redirect_uris: LenientList<String> = "redirect_uris",
            /// The grants that it may use.
            grant_types: LenientList<GrantType> = "grant_types",
        }
    }
}

text_enum! {
    /// A [way to tokens](https://spec.matrix.org/v1.19/client-server-api/#grant-types).
    pub enum GrantType {
        /// The authorization code grant, by a browser.
        AuthorizationCode = "authorization_code",
        /// The device authorization grant.
        DeviceCode = "urn:ietf:params:oauth:grant-type:device_code",
        /// The refresh token grant.
        RefreshToken = "refresh_token",
    }
}

text_enum! {
    /// The kind of application.
    pub enum ApplicationType {
        /// A native application.
        Native = "native",
        /// A web page.
        Web = "web",
    }
}
