//! Whose token ruma says that a request takes.

use matricula_core::OperationAuth;
use ruma_common::api::auth_scheme::{
    AccessToken, AccessTokenOptional, AppserviceToken, AppserviceTokenOptional, AuthScheme,
    NoAccessToken, NoAuthentication,
};

/// A way of ruma's to prove who sends a request that a runner can follow: by a token, or not at all.
pub trait TakesToken: AuthScheme {
    /// Whose token it takes.
    const TAKEN: OperationAuth;
}

impl TakesToken for NoAuthentication {
    const TAKEN: OperationAuth = OperationAuth::None;
}

impl TakesToken for NoAccessToken {
    const TAKEN: OperationAuth = OperationAuth::None;
}

impl TakesToken for AccessToken {
    const TAKEN: OperationAuth = OperationAuth::Required;
}

impl TakesToken for AccessTokenOptional {
    const TAKEN: OperationAuth = OperationAuth::Optional;
}

impl TakesToken for AppserviceToken {
    const TAKEN: OperationAuth = OperationAuth::Appservice;
}

impl TakesToken for AppserviceTokenOptional {
    const TAKEN: OperationAuth = OperationAuth::AppserviceOptional;
}
