//! JSON that is kept as text on both sides, and handed over as text: nothing is parsed.

use matricula_api::Raw;
use ruma_common::serde::Raw as RumaRaw;

/// The same text for ruma, standing for a `U`.
///
/// ```
/// use matricula_ruma::raw;
///
/// let ours = matricula_api::Raw::<()>::from_json(r#"{ "a" : 1 }"#.to_owned())?;
/// let theirs: ruma_common::serde::Raw<Vec<u8>> = raw::to_ruma(&ours);
/// assert_eq!(theirs.json().get(), r#"{ "a" : 1 }"#);
/// assert_eq!(raw::to_matricula::<_, ()>(&theirs), ours);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn to_ruma<T, U>(raw: &Raw<T>) -> RumaRaw<U> {
    // What holds a JSON text writes it as it is, to memory, which does not fail.
    let text = serde_json::value::to_raw_value(raw).expect("a JSON text is JSON");
    RumaRaw::from_json(text)
}

/// The same text for matricula, standing for a `U`.
pub fn to_matricula<T, U>(raw: &RumaRaw<T>) -> Raw<U> {
    Raw::new(raw).expect("a JSON text is JSON")
}
