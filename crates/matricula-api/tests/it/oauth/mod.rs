//! OAuth 2.0: requests, responses, and masking of secrets.

mod requests;
mod responses;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

const CANARY: &str = "canary-7c1e-canary-7c1e-canary-7c1e-canary-7c1e";

/// The type reads all of it, and writes all of it again.
fn round_trip<T: DeserializeOwned + Serialize>(json: &Value) -> T {
    let value: T = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(&serde_json::to_value(&value).unwrap(), json);
    value
}
