//! The tests.
#![allow(clippy::unwrap_used)]

mod accounts;
mod devices;
mod errors;
mod events;
mod ids;
mod jobs;
mod media;
mod raw;
mod rooms;
mod round_trip;
