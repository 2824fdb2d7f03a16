//! One invalid part never spoils the rest of any example of the specification.

use super::data::{answers, operations};
use crate::{apis::endpoint, invalid_parts::spoil, response, spec_events};

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn invalid_part_never_spoils_a_response_example() {
    let (mut cases, mut failures) = (0, String::new());
    for operation in operations() {
        let ours = endpoint(operation.api, &operation.id);
        let mut media = answers(&operation);
        media.retain(|media| {
            media.content_type == "application/json" && (200..300).contains(&media.status)
        });
        for media in media {
            let read = |text: &str| match ours.read(&response(media.status, text)) {
                Ok(written) => Ok(String::from_utf8(written.body).unwrap()),
                Err(error) => Err(error.to_string()),
            };
            for example in media.examples() {
                cases += spoil(&media.name, &example, &read, &mut failures);
            }
        }
    }
    println!("{cases} response examples with an invalid part");
    assert!(failures.is_empty(), "{failures}");
    assert!(cases > 10_000, "{cases}");
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn invalid_part_never_spoils_an_event_example() {
    let (mut cases, mut failures) = (0, String::new());
    for (name, event) in spec_events::examples() {
        let read = |text: &str| spec_events::read_whole(&event, text);
        cases += spoil(&name, &event, &read, &mut failures);
        let event_type = event["type"].as_str().unwrap();
        for kind in spec_events::KINDS {
            let content = &event["content"];
            let read = |text: &str| spec_events::read_content(kind, event_type, text);
            if read(&content.to_string()).is_ok() {
                let what = format!("{name} as {kind:?}");
                cases += spoil(&what, content, &read, &mut failures);
            }
        }
    }
    println!("{cases} event examples with an invalid part");
    assert!(failures.is_empty(), "{failures}");
    assert!(cases > 10_000, "{cases}");
}
