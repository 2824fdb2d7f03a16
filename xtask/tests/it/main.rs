//! Tests of the servers that `cargo xtask synapse` starts, one module per kind of profile.
#![allow(clippy::unwrap_used)]

mod docs;
mod http;
mod live;
