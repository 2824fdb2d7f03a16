//! A request's JSON object, read with care about types.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The longest text in a request that has no bound of its own, in bytes.
const MAX_TEXT: usize = 512;

/// A JSON object from a client. `null` counts as absent: some clients write every key they know.
pub(crate) struct Body(Map<String, Value>);

impl Body {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let value = serde_json::from_slice(bytes)
            .map_err(|_| Refusal::new(400, "M_NOT_JSON", "the request's body is not JSON"))?;
        match value {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(Refusal::new(
                400,
                "M_BAD_JSON",
                "the request's body is not a JSON object",
            )),
        }
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, Refusal> {
        match self.text_of_any_length(key)? {
            Some(text) if text.len() > MAX_TEXT => Err(Refusal::new(
                400,
                "M_INVALID_PARAM",
                format!("{key} is longer than {MAX_TEXT} bytes"),
            )),
            text => Ok(text),
        }
    }

    pub(crate) fn text_of_any_length(&self, key: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(key, "a string")),
        }
    }

    pub(crate) fn required_text(&self, key: &str) -> Result<&str, Refusal> {
        self.text(key)?.ok_or_else(|| Refusal::missing(key))
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(bad(key, "true or false")),
        }
    }

    /// Takes an object out of this one.
    pub(crate) fn take(&mut self, key: &str) -> Result<Option<Self>, Refusal> {
        match self.0.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self(map))),
            Some(_) => Err(bad(key, "an object")),
        }
    }
}

fn bad(key: &str, wanted: &str) -> Refusal {
    Refusal::new(400, "M_BAD_JSON", format!("{key} is not {wanted}"))
}
