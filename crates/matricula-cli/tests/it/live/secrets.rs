//! No secret is given away on the way to a real server, whatever it asks for.

use crate::{secrets::nowhere, servers::Site};

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn open() {
    nowhere("open", Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn token() {
    nowhere("token", Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn terms() {
    nowhere("terms", Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn token_and_terms() {
    nowhere("token+terms", Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn guests() {
    nowhere("guests", Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn refresh() {
    nowhere("refresh", Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn shortlived() {
    nowhere("shortlived", Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn ratelimited() {
    nowhere("ratelimited", Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn closed() {
    nowhere("closed", Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn policy() {
    nowhere("policy", Site::live);
}
