//! The journeys from registering to signing in again, on real servers.

use crate::{account_lifecycle, servers::Site};

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn token_and_device() {
    account_lifecycle::the_token_works_on_the_device_asked_for(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn inhibited_login() {
    account_lifecycle::who_inhibits_login_has_no_session_until_signing_in(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn refreshing() {
    account_lifecycle::refreshing_turns_the_pair_of_tokens_over(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn short_life() {
    account_lifecycle::the_end_of_a_short_life_is_told(Site::live);
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
    account_lifecycle::a_registration_goes_on_in_another_process(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn limited() {
    account_lifecycle::a_limit_is_waited_out_and_the_wait_shown(Site::live);
}
