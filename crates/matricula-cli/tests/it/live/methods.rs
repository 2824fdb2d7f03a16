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
    appservice::appservice_registers_and_logs_in_users(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn application_service_without_sessions() {
    appservice::users_without_sessions_are_registered(Site::live);
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
