//! The tests.
#![allow(clippy::unwrap_used)]

mod accounts;
mod both_ways;
mod devices;
mod errors;
mod events;
mod ids;
mod jobs;
mod media;
mod raw;
mod rooms;
