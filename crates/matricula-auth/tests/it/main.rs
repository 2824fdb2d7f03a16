//! What `matricula-auth` promises, one module a behaviour.
#![allow(clippy::unwrap_used)]

mod address;
mod always_ends;
mod discovery;
mod kept;
mod login;
mod lost_answers;
mod registration;
mod rules;
mod talk;
