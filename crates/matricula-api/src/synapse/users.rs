//! The users of a server, for its administrators.

use matricula_core::{
    Api, Job, Method, Operation, OperationAuth, Response, RetrySafety, Secret, ServerUrl,
};

use crate::{ApiError, Endpoint, LenientList, UserId, codec, object::object};

const LIST: &str = "/_synapse/admin/v2/users";
const PATH: &str = "/_synapse/admin/v2/users/{userId}";
const PARTS: &[&str] = &["/_synapse/admin/v2/users/"];
const BY_ADDRESS: &str = "/_synapse/admin/v1/threepid/{medium}/users/{address}";
const DEACTIVATE: &str = "/_synapse/admin/v1/deactivate/{userId}";

/// `GET /_synapse/admin/v2/users/{userId}`: what the server knows of a user.
///
/// Access token: of an administrator. Status 404 if there is no such user.
/// [Synapse](https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html#query-user-account)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetUser {
    /// Who.
    pub user_id: UserId,
}

object! {
    /// A user, as administrators see one.
    pub struct User {
        required {
            /// Who.
            name: UserId = "name",
        }
        optional {
            /// The display name.
            displayname: String = "displayname" as text,
            /// Whether it is an administrator.
            admin: bool = "admin",
            /// Whether the account is shut for good.
            deactivated: bool = "deactivated",
            /// Whether the account is shut for now.
            locked: bool = "locked",
            /// Whether the account may do little for now.
            suspended: bool = "suspended",
            /// When it was created, in seconds since 1970.
            creation_ts: u64 = "creation_ts",
        }
    }
}

impl Endpoint for GetUser {
    const OPERATION: Operation = Operation::new(Api::Client, "synapseGetUser", Method::Get, PATH)
        .with_auth(OperationAuth::Required)
        .with_retry_safety(RetrySafety::Idempotent);

    type Response = User;

    #[inline]
    fn job(&self, server: &ServerUrl) -> Job {
        let url = codec::address(server, PARTS, &[self.user_id.as_str()]);
        Job::for_operation_at(url, &Self::OPERATION)
    }

    #[inline]
    fn read_success(response: &Response) -> Result<User, ApiError> {
        codec::read(response)
    }
}

/// `GET /_synapse/admin/v2/users`: the users of the server, page by page.
///
/// Access token: of an administrator.
/// [Synapse](https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html#list-accounts)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListUsers {
    /// The [`next_token`](ListUsersResponse::next_token) of the page before; `None` for the first page.
    pub from: Option<String>,
    /// The maximum number of users on a page. The default is 100.
    pub limit: Option<u64>,
    /// Only users with this text in their localpart or display name.
    pub name: Option<String>,
    /// Whether deactivated users are listed too. By default, they are not.
    pub deactivated: Option<bool>,
}

object! {
    /// A user in a list for administrators.
    pub struct ListedUser {
        required {
            /// Who.
            name: UserId = "name",
        }
        optional {
            /// The display name.
            displayname: String = "displayname" as text,
            /// Whether it is a guest.
            is_guest: bool = "is_guest",
            /// Whether it is an administrator.
            admin: bool = "admin",
            /// Whether the account is shut for good.
            deactivated: bool = "deactivated",
            /// Whether the account is shut for now.
            locked: bool = "locked",
            /// Whether the account may do little for now.
            suspended: bool = "suspended",
            /// When it was created, in milliseconds since 1970.
            creation_ts: u64 = "creation_ts",
        }
    }
}

object! {
    /// Response to [`ListUsers`].
    pub struct ListUsersResponse {
        required {
            /// The users.
            users: LenientList<ListedUser> = "users",
        }
        optional {
            /// The number of all users.
            total: u64 = "total",
            /// The `from` of the next page; absent on the last one.
            next_token: String = "next_token" as text,
        }
    }
}

impl Endpoint for ListUsers {
    const OPERATION: Operation = Operation::new(Api::Client, "synapseListUsers", Method::Get, LIST)
        .with_auth(OperationAuth::Required)
        .with_retry_safety(RetrySafety::Idempotent);

    type Response = ListUsersResponse;

    #[inline]
    fn job(&self, server: &ServerUrl) -> Job {
        let mut job = Job::for_operation(server, LIST, &Self::OPERATION);
        let query = [
            ("from", self.from.clone()),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("name", self.name.clone()),
            (
                "deactivated",
                self.deactivated.map(|wanted| wanted.to_string()),
            ),
        ];
        for (name, value) in query {
            if let Some(value) = value {
                job = job.with_query(name, value);
            }
        }
        job
    }

    #[inline]
    fn read_success(response: &Response) -> Result<ListUsersResponse, ApiError> {
        codec::read(response)
    }
}

object! {
    /// An address of a user.
    pub struct UserAddress {
        required {
            /// `email` or `msisdn`.
            medium: String = "medium" as text,
            /// The address, or the phone number in its international form without the `+`.
            address: String = "address" as text,
        }
    }
}

object! {
    /// The properties of the user in a [`PutUser`].
    pub struct UserChange {
        optional {
            /// The password to set.
            password: Secret = "password" as secret,
            /// The display name. Absent means the localpart.
            displayname: String = "displayname" as text,
            /// Whether it is an administrator.
            admin: bool = "admin",
            /// The new email addresses and phone numbers, without validation.
            threepids: Vec<UserAddress> = "threepids",
        }
    }
}

/// `PUT /_synapse/admin/v2/users/{userId}`: creates a user, or **changes** an existing one.
///
/// Access token: of an administrator.
/// [Synapse](https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html#create-or-modify-account)
#[derive(Clone, Debug, PartialEq)]
pub struct PutUser {
    /// Who.
    pub user_id: UserId,
    /// The properties to set.
    pub user: UserChange,
}

impl Endpoint for PutUser {
    const OPERATION: Operation = Operation::new(Api::Client, "synapsePutUser", Method::Put, PATH)
        .with_auth(OperationAuth::Required)
        .with_secrets(&["/password"], &[])
        // A repeated request changes the user, so a new user cannot be distinguished from an
        // existing one.
        .with_retry_safety(RetrySafety::OnlyIfNotProcessed);

    type Response = User;

    #[inline]
    fn job(&self, server: &ServerUrl) -> Job {
        let url = codec::address(server, PARTS, &[self.user_id.as_str()]);
        Job::for_operation_at(url, &Self::OPERATION).with_body(codec::body(&self.user))
    }

    #[inline]
    fn read_success(response: &Response) -> Result<User, ApiError> {
        codec::read(response)
    }
}

/// `POST /_synapse/admin/v1/deactivate/{userId}`: shuts an account for good. Its name stays taken.
///
/// Access token: of an administrator. Status 404 if there is no such user.
/// [Synapse](https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html#deactivate-account)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeactivateUser {
    /// Who.
    pub user_id: UserId,
    /// Whether the user's messages are hidden from users who join later.
    pub erase: bool,
}

object! {
    /// Response to [`DeactivateUser`].
    pub struct DeactivateUserResponse {
        optional {
            /// Whether the addresses could be taken from the identity server: `success` or
            /// `no-support`.
            id_server_unbind_result: String = "id_server_unbind_result" as text,
        }
    }
}

impl Endpoint for DeactivateUser {
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "synapseDeactivateUser",
        Method::Post,
        DEACTIVATE,
    )
    .with_auth(OperationAuth::Required)
    .with_retry_safety(RetrySafety::Idempotent);

    type Response = DeactivateUserResponse;

    #[inline]
    fn job(&self, server: &ServerUrl) -> Job {
        let parts = ["/_synapse/admin/v1/deactivate/"];
        let url = codec::address(server, &parts, &[self.user_id.as_str()]);
        let body = serde_json::json!({ "erase": self.erase });
        Job::for_operation_at(url, &Self::OPERATION).with_body(codec::body(&body))
    }

    #[inline]
    fn read_success(response: &Response) -> Result<DeactivateUserResponse, ApiError> {
        codec::read(response)
    }
}

/// `GET /_synapse/admin/v1/threepid/{medium}/users/{address}`: finds the user with this address.
///
/// Access token: of an administrator. Status 404 if no user has it.
/// [Synapse](https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html#find-a-user-based-on-their-third-party-id-threepid-or-3pid)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindUserByAddress {
    /// `email` or `msisdn`.
    pub medium: String,
    /// The address, in small letters.
    pub address: String,
}

object! {
    /// Response to [`FindUserByAddress`].
    pub struct FindUserByAddressResponse {
        required {
            /// Who.
            user_id: UserId = "user_id",
        }
    }
}

impl Endpoint for FindUserByAddress {
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "synapseFindUserByAddress",
        Method::Get,
        BY_ADDRESS,
    )
    .with_auth(OperationAuth::Required)
    .with_retry_safety(RetrySafety::Idempotent);

    type Response = FindUserByAddressResponse;

    #[inline]
    fn job(&self, server: &ServerUrl) -> Job {
        let parts = ["/_synapse/admin/v1/threepid/", "/users/"];
        let url = codec::address(server, &parts, &[&self.medium, &self.address]);
        Job::for_operation_at(url, &Self::OPERATION)
    }

    #[inline]
    fn read_success(response: &Response) -> Result<FindUserByAddressResponse, ApiError> {
        codec::read(response)
    }
}
