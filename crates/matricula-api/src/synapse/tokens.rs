//! The registration tokens that a server's administrators hand out.

use matricula_core::{
    Api, Job, Method, Operation, OperationAuth, Response, RetrySafety, Secret, ServerUrl,
};

use crate::{ApiError, Endpoint, LenientList, codec, object::object};

const PATH: &str = "/_synapse/admin/v1/registration_tokens";
const NEW: &str = "/_synapse/admin/v1/registration_tokens/new";
const ONE: &str = "/_synapse/admin/v1/registration_tokens/{token}";

object! {
    /// A registration token.
    pub struct RegistrationToken {
        required {
            /// The token itself.
            token: Secret = "token" as secret,
        }
        optional {
            /// The maximum number of registrations. Absent means unlimited.
            uses_allowed: u64 = "uses_allowed",
            /// The number of pending registrations.
            pending: u64 = "pending",
            /// The number of completed registrations.
            completed: u64 = "completed",
            /// The expiry time, in milliseconds since 1970. Absent means never.
            expiry_time: u64 = "expiry_time",
        }
    }
}

object! {
    /// `POST /_synapse/admin/v1/registration_tokens/new`: makes a token.
    ///
    /// Access token: of an administrator.
    /// [Synapse](https://element-hq.github.io/synapse/latest/usage/administration/admin_api/registration_tokens.html)
    pub struct CreateRegistrationToken {
        optional {
            /// The token, of at most 64 letters, digits, `.`, `_`, `~` and `-`; the server generates one if
            /// it is absent.
            token: Secret = "token" as secret,
            /// The length of a generated token: 1 to 64.
            length: u64 = "length",
            /// The maximum number of registrations. Absent means unlimited.
            uses_allowed: u64 = "uses_allowed",
            /// The expiry time, in milliseconds since 1970. Absent means never.
            expiry_time: u64 = "expiry_time",
        }
    }
}

impl Endpoint for CreateRegistrationToken {
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "synapseCreateRegistrationToken",
        Method::Post,
        NEW,
    )
    .with_auth(OperationAuth::Required)
    .with_secrets(&["/token"], &["/token"]);

    type Response = RegistrationToken;

    #[inline]
    fn job(&self, server: &ServerUrl) -> Job {
        Job::for_operation(server, NEW, &Self::OPERATION).with_body(codec::body(self))
    }

    #[inline]
    fn read_success(response: &Response) -> Result<RegistrationToken, ApiError> {
        codec::read(response)
    }
}

/// `GET /_synapse/admin/v1/registration_tokens`: all tokens.
///
/// Access token: of an administrator.
/// [Synapse](https://element-hq.github.io/synapse/latest/usage/administration/admin_api/registration_tokens.html)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListRegistrationTokens {
    /// Only those that are good, or only those that are not.
    pub valid: Option<bool>,
}

object! {
    /// Response to [`ListRegistrationTokens`].
    pub struct ListRegistrationTokensResponse {
        required {
            /// The tokens.
            registration_tokens: LenientList<RegistrationToken> = "registration_tokens",
        }
    }
}

impl Endpoint for ListRegistrationTokens {
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "synapseListRegistrationTokens",
        Method::Get,
        PATH,
    )
    .with_auth(OperationAuth::Required)
    .with_secrets(&[], &["/registration_tokens/*/token"])
    .with_retry_safety(RetrySafety::Idempotent);

    type Response = ListRegistrationTokensResponse;

    #[inline]
    fn job(&self, server: &ServerUrl) -> Job {
        let job = Job::for_operation(server, PATH, &Self::OPERATION);
        match self.valid {
            Some(valid) => job.with_query("valid", valid.to_string()),
            None => job,
        }
    }

    #[inline]
    fn read_success(response: &Response) -> Result<ListRegistrationTokensResponse, ApiError> {
        codec::read(response)
    }
}

/// `DELETE /_synapse/admin/v1/registration_tokens/{token}`: deletes a registration token.
///
/// Access token: of an administrator. Status 404 if there is no such token.
/// [Synapse](https://element-hq.github.io/synapse/latest/usage/administration/admin_api/registration_tokens.html)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRegistrationToken {
    /// The token. It is part of the address, and masked where the address is shown.
    pub token: Secret,
}

object! {
    /// Response to [`DeleteRegistrationToken`].
    pub struct DeleteRegistrationTokenResponse {}
}

impl Endpoint for DeleteRegistrationToken {
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "synapseDeleteRegistrationToken",
        Method::Delete,
        ONE,
    )
    .with_auth(OperationAuth::Required)
    .with_retry_safety(RetrySafety::Idempotent);

    type Response = DeleteRegistrationTokenResponse;

    #[inline]
    fn job(&self, server: &ServerUrl) -> Job {
        let parts = ["/_synapse/admin/v1/registration_tokens/"];
        let url = codec::address(server, &parts, &[self.token.expose()]);
        Job::for_operation_at(url, &Self::OPERATION).with_secret_path()
    }

    #[inline]
    fn read_success(response: &Response) -> Result<DeleteRegistrationTokenResponse, ApiError> {
        codec::read(response)
    }
}
