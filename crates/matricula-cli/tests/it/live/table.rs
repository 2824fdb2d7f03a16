//! The table of every way of registering.

use crate::{site::Site, table::table};

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn on_a_real_synapse() {
    insta::assert_snapshot!(table(Site::live));
}
