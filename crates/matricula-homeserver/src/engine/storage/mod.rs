//! SQL queries and row types. This module knows tables; it knows no requests and no responses.

pub(crate) mod account_data;
pub(crate) mod devices;
pub(crate) mod events;
pub(crate) mod filters;
pub(crate) mod media;
pub(crate) mod members;
pub(crate) mod notifications;
pub(crate) mod one_time_tokens;
pub(crate) mod openid_tokens;
pub(crate) mod presence;
pub(crate) mod profiles;
pub(crate) mod push_rules;
pub(crate) mod rate_limit;
pub(crate) mod receipts;
pub(crate) mod registration_tokens;
pub(crate) mod reports;
pub(crate) mod row_limit;
pub(crate) mod stream;
pub(crate) mod threads;
pub(crate) mod threepids;
pub(crate) mod tokens;
pub(crate) mod typing;
pub(crate) mod uia_sessions;
pub(crate) mod users;
