//! Raw JSON.

use matricula_api::Raw;
use matricula_ruma::raw;
use proptest::prelude::*;
use ruma_common::serde::Raw as RumaRaw;

#[test]
fn raw_json_is_unchanged() {
    let texts = [
        "null",
        "{ \"a\" :\t1.50e3, \"a\": \"\\u00e9\" }",
        "[1,\n 2]",
        "1e400",
    ];
    for text in texts {
        let ours = Raw::<u8>::from_json(text.to_owned()).unwrap();
        let theirs: RumaRaw<String> = raw::to_ruma(&ours);
        assert_eq!(theirs.json().get(), text);
        let back: Raw<u8> = raw::to_matricula(&theirs);
        assert_eq!(back.json(), text);
    }
}

proptest! {
    #[test]
    fn any_string_is_unchanged(text: String) {
        let theirs = RumaRaw::new(&text).unwrap();
        let ours: Raw<String> = raw::to_matricula(&theirs);
        prop_assert_eq!(ours.read().unwrap(), text);
    }
}
