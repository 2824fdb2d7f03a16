//! What the servers that `cargo xtask synapse` starts promise, one module a kind of profile.
#![allow(clippy::unwrap_used)]

mod docs;
mod http;
mod live;
