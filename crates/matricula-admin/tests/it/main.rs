//! Tests of `matricula-admin`, one module for each behaviour.
#![allow(clippy::unwrap_used)]

mod bulk;
mod create_user;
mod scripted_server;
mod shared_secret;
