//! What `matricula-auth` promises, one module a behaviour.
#![allow(clippy::unwrap_used)]

mod address;
mod address_addition;
mod addresses;
mod always_ends;
mod appservice;
mod authenticated;
mod deactivation;
mod discovery;
mod discovery_ends;
mod every_way;
mod guest_upgrade;
mod kept;
mod login;
mod lost_answers;
mod oauth;
mod oauth_crash;
mod oauth_device;
mod oauth_session;
mod other_servers;
mod password;
mod registration;
mod rules;
mod session;
mod session_races;
mod sso;
mod talk;
mod told;
