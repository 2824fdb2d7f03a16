//! The ways in beside registering as a stranger, on real servers.

use crate::{admin, appservice, guest_upgrade, servers::Site};

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn guest_upgrade() {
    guest_upgrade::a_guest_becomes_a_user(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn application_service() {
    appservice::a_service_makes_its_users_and_signs_in_as_them(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn application_service_without_sessions() {
    appservice::where_users_get_no_sessions_they_are_made_without(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn shared_secret_where_registration_is_closed() {
    admin::register_with_shared_secret(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn users() {
    admin::create_users(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn tokens() {
    admin::create_and_revoke_tokens(Site::live);
}
