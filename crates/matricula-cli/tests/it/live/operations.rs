//! The table of all operations.

use crate::{operations::table, servers::Site};

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn on_a_real_synapse() {
    insta::assert_snapshot!(table(&Site::live("open")));
}
