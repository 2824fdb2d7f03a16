//! The registration tokens that a server's administrators hand out.

use matricula_core::{
    Api, Job, Method, Operation, OperationAuth, Response, RetrySafety, Secret, ServerUrl,
};

use crate::{ApiError, Endpoint, codec, object::object};

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
            /// How many accounts may be made with it; any number where there is none.
            uses_allowed: u64 = "uses_allowed",
            /// How many are being made.
            pending: u64 = "pending",
            /// How many were made.
            completed: u64 = "completed",
            /// Until when it is good, in milliseconds since 1970; for ever where there is none.
            expiry_time: u64 = "expiry_time",
        }
    }
}

object! {
    /// `POST /_synapse/admin/v1/registration_tokens/new`: makes a token.
    ///
    /// Token: an administrator's.
    /// [Synapse](https://element-hq.github.io/synapse/latest/usage/administration/admin_api/registration_tokens.html)
    pub struct CreateRegistrationToken {
        optional {
            /// The token, of at most 64 letters, digits, `.`, `_`, `~` and `-`; the server makes one if
            /// there is none.
            token: Secret = "token" as secret,
            /// How long the one is to be that the server makes: 1 to 64.
            length: u64 = "length",
            /// How many accounts may be made with it; any number where there is none.
            uses_allowed: u64 = "uses_allowed",
            /// Until when it is good, in milliseconds since 1970; for ever where there is none.
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

    fn job(&self, server: &ServerUrl) -> Job {
        Job::for_operation(server, NEW, &Self::OPERATION).with_body(codec::body(self))
    }

    fn read_success(response: &Response) -> Result<RegistrationToken, ApiError> {
        codec::read(response)
    }
}

/// `GET /_synapse/admin/v1/registration_tokens`: all tokens.
///
/// Token: an administrator's.
/// [Synapse](https://element-hq.github.io/synapse/latest/usage/administration/admin_api/registration_tokens.html)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListRegistrationTokens {
    /// Only those that are good, or only those that are not.
    pub valid: Option<bool>,
}

object! {
    /// What the server answers to [`ListRegistrationTokens`].
    pub struct ListRegistrationTokensResponse {
        required {
            /// The tokens.
            registration_tokens: Vec<RegistrationToken> = "registration_tokens",
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

    fn job(&self, server: &ServerUrl) -> Job {
        let job = Job::for_operation(server, PATH, &Self::OPERATION);
        match self.valid {
            Some(valid) => job.with_query("valid", valid.to_string()),
            None => job,
        }
    }

    fn read_success(response: &Response) -> Result<ListRegistrationTokensResponse, ApiError> {
        codec::read(response)
    }
}

/// `DELETE /_synapse/admin/v1/registration_tokens/{token}`: no account is made with this token any more.
///
/// Token: an administrator's. 404 where there is no such token.
/// [Synapse](https://element-hq.github.io/synapse/latest/usage/administration/admin_api/registration_tokens.html)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRegistrationToken {
    /// The token. It is part of the address, and masked where the address is shown.
    pub token: Secret,
}

object! {
    /// What the server answers to [`DeleteRegistrationToken`].
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

    fn job(&self, server: &ServerUrl) -> Job {
        let parts = ["/_synapse/admin/v1/registration_tokens/"];
        let url = codec::address(server, &parts, &[self.token.expose()]);
        Job::for_operation_at(url, &Self::OPERATION).with_secret_path()
    }

    fn read_success(response: &Response) -> Result<DeleteRegistrationTokenResponse, ApiError> {
        codec::read(response)
    }
}
