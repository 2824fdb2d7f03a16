//! The same work, done by matricula and by its peers, for the benches and the counting of allocations.
//!
//! Every side starts from the texts and identifiers of [`inputs`], and ends in the same state, which
//! [`same`] asserts before anything is measured.

pub mod counting;
pub mod heap;
pub mod inputs;
pub mod jobs;
pub mod ours;
pub mod plain;
pub mod rumas;
pub mod same;
pub mod sync_body;
pub mod thread_time;
