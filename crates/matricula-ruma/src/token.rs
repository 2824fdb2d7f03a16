//! The tokens of ruma's authentication schemes.

use matricula_core::OperationAuth;
use ruma_common::api::auth_scheme::{
    AccessToken, AccessTokenOptional, AppserviceToken, AppserviceTokenOptional, AuthScheme,
    NoAccessToken, NoAuthentication,
};

/// An authentication scheme of ruma that a runner supports: a token, or none.
pub trait TakesToken: AuthScheme {
    /// The kind of token.
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
