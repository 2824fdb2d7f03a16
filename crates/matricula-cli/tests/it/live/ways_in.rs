//! The ways in beside registering as a stranger, on real servers.

use crate::{guest_upgrade, site::Site};

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn guest_upgrade() {
    guest_upgrade::a_guest_becomes_a_user(Site::live);
}
