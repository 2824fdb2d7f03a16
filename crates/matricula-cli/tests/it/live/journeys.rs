//! The journeys from registering to signing in again, on real servers.

use crate::{journeys, site::Site};

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn token_and_device() {
    journeys::the_token_works_on_the_device_asked_for(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn inhibited_login() {
    journeys::who_inhibits_login_has_no_session_until_signing_in(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn refreshing() {
    journeys::refreshing_turns_the_pair_of_tokens_over(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn short_life() {
    journeys::the_end_of_a_short_life_is_told(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn password() {
    journeys::the_password_signs_in_elsewhere(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn made_password() {
    journeys::a_made_password_signs_in_again(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn guest() {
    journeys::a_guest_is_one(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn resuming() {
    journeys::a_registration_goes_on_in_another_process(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn limited() {
    journeys::a_limit_is_waited_out_and_the_wait_shown(Site::live);
}
