//! Registration with the registration shared secret of a server.

use matricula_core::{Api, Job, Method, Operation, Response, RetrySafety, Secret, ServerUrl};

use crate::{ApiError, Endpoint, client::registration::RegisterResponse, codec, object::object};

const PATH: &str = "/_synapse/admin/v1/register";

/// `GET /_synapse/admin/v1/register`: a number that the next [`RegisterBySecret`] is signed with.
///
/// [Synapse](https://element-hq.github.io/synapse/latest/admin_api/register_api.html)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GetNonce;

object! {
    /// Response to [`GetNonce`].
    pub struct GetNonceResponse {
        required {
            /// Good for one attempt, and for a minute.
            nonce: String = "nonce" as text,
        }
    }
}

impl Endpoint for GetNonce {
    const OPERATION: Operation = Operation::new(Api::Client, "synapseGetNonce", Method::Get, PATH)
        .with_retry_safety(RetrySafety::Idempotent);

    type Response = GetNonceResponse;

    #[inline]
    fn job(&self, server: &ServerUrl) -> Job {
        Job::for_operation(server, PATH, &Self::OPERATION)
    }

    #[inline]
    fn read_success(response: &Response) -> Result<GetNonceResponse, ApiError> {
        codec::read(response)
    }
}

object! {
    /// `POST /_synapse/admin/v1/register`: makes an account, even where registration is closed.
    ///
    /// [Synapse](https://element-hq.github.io/synapse/latest/admin_api/register_api.html)
    pub struct RegisterBySecret {
        required {
            /// From [`GetNonce`].
            nonce: String = "nonce" as text,
            /// The localpart.
            username: String = "username" as text,
            /// The password to set.
            password: Secret = "password" as secret,
            /// The HMAC-SHA1 of the nonce, the name, the password and `admin` or `notadmin`, with a NUL
            /// between each, under the shared secret; in hexadecimal digits.
            mac: Secret = "mac" as secret,
        }
        optional {
            /// Whether to create an administrator.
            admin: bool = "admin",
            /// The display name. Absent means the localpart.
            displayname: String = "displayname" as text,
        }
    }
}

impl Endpoint for RegisterBySecret {
    const OPERATION: Operation =
        Operation::new(Api::Client, "synapseRegisterBySecret", Method::Post, PATH)
            .with_secrets(&["/password", "/mac"], &["/access_token", "/refresh_token"]);

    type Response = RegisterResponse;

    #[inline]
    fn job(&self, server: &ServerUrl) -> Job {
        Job::for_operation(server, PATH, &Self::OPERATION).with_body(codec::body(self))
    }

    #[inline]
    fn read_success(response: &Response) -> Result<RegisterResponse, ApiError> {
        codec::read(response)
    }
}
