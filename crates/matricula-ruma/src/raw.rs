//! Conversion of raw JSON, without parsing it.

use matricula_api::Raw;
use ruma_common::serde::Raw as RumaRaw;

/// The same JSON as ruma's type, of a `U`.
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
    // Raw JSON is written unchanged, to memory, which cannot fail.
    let text = serde_json::value::to_raw_value(raw).expect("a JSON text is JSON");
    RumaRaw::from_json(text)
}

/// The same JSON as matricula's type, of a `U`.
pub fn to_matricula<T, U>(raw: &RumaRaw<T>) -> Raw<U> {
    Raw::new(raw).expect("a JSON text is JSON")
}
