//! The journeys from registering to signing in again, on real servers.

use crate::{account_lifecycle, servers::Site};

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn token_and_device() {
    account_lifecycle::token_has_the_requested_device(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn inhibited_login() {
    account_lifecycle::inhibited_login_makes_no_session(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn refreshing() {
    account_lifecycle::refresh_replaces_both_tokens(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn short_life() {
    account_lifecycle::expired_session_is_reported(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn password() {
    account_lifecycle::the_password_signs_in_elsewhere(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn made_password() {
    account_lifecycle::a_made_password_signs_in_again(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn guest() {
    account_lifecycle::a_guest_is_one(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn resuming() {
    account_lifecycle::registration_resumes_in_another_process(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn limited() {
    account_lifecycle::rate_limit_wait_is_shown(Site::live);
}
