//! What the built command promises, one module a behaviour.
#![allow(clippy::unwrap_used)]

mod account;
mod account_life;
mod accounts;
mod admin;
mod api_answers;
mod api_call;
mod appservice;
mod asking;
mod browser;
mod canary;
mod command;
mod discover;
mod dry_run;
mod guest_upgrade;
mod hostile;
mod http;
mod in_browser;
mod issuer;
mod journeys;
mod keyring;
mod killed;
mod live;
mod not_matrix;
mod oauth;
mod operations;
mod other_servers;
mod secret_service;
mod secrets;
mod server;
mod shapes;
mod site;
mod table;
mod terminal;
mod unreachable;
mod usage;
