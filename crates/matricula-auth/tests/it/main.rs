//! Tests of `matricula-auth`, one module for each behaviour.
#![allow(clippy::unwrap_used)]

mod add_threepid;
mod all_methods;
mod appservice;
mod authentication_service;
mod deactivation;
mod discovery;
mod discovery_reuse;
mod discovery_termination;
mod failing_servers;
mod guest_upgrade;
mod helpers;
mod login;
mod lost_responses;
mod oauth;
mod oauth_device;
mod oauth_helpers;
mod oauth_logout;
mod oauth_resume;
mod password_change;
mod real_world_quirks;
mod refused_stages;
mod registration;
mod resume;
mod scripted_server;
mod server_address;
mod session;
mod session_races;
mod specification_rules;
mod sso;
mod termination;
mod threepid_stages;
mod uia_request;
mod unneeded_values;
