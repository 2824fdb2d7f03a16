//! The sizes of events.

use matricula_rules::{
    EventView, RoomVersion,
    limits::{LimitError, MAX_EVENT_BYTES, check_event, check_fields},
};

/// An event of exactly so many bytes in canonical JSON.
fn event_of(bytes: usize) -> String {
    let event = |body: &str| {
        format!(r#"{{"content":{{"body":"{body}"}},"sender":"@a:b.org","type":"m.room.message"}}"#)
    };
    let rest = event("").len();
    event(&"x".repeat(bytes - rest))
}

#[test]
fn event_size_is_bounded() {
    let version = RoomVersion::V12;
    assert_eq!(event_of(MAX_EVENT_BYTES).len(), 65_536);
    assert_eq!(check_event(&event_of(MAX_EVENT_BYTES), version), Ok(()));
    let error = check_event(&event_of(MAX_EVENT_BYTES + 1), version).unwrap_err();
    assert_eq!(error, LimitError::Event { bytes: 65_537 });
    assert_eq!(
        error.to_string(),
        "the event has 65537 bytes, and may have at most 65536"
    );
}

#[test]
fn size_is_that_of_canonical_json() {
    // White space and long escapes do not count.
    let event = event_of(MAX_EVENT_BYTES);
    let spaced = event.replace(':', " : ").replacen('x', r"\u0078", 1);
    assert!(spaced.len() > MAX_EVENT_BYTES);
    // The spaces around the colon in the sender's id do count.
    let shorter = spaced.replacen("xxxx", "", 1);
    assert_eq!(check_event(&shorter, RoomVersion::V12), Ok(()));
}

#[test]
fn field_sizes_are_bounded_in_bytes() {
    let text = |chars: usize| "é".repeat(chars);
    for field in ["sender", "room_id", "state_key", "type"] {
        let event = |text: &str| format!(r#"{{"{field}":"{text}","content":{{}}}}"#);
        assert_eq!(check_event(&event(&text(127)), RoomVersion::V12), Ok(()));
        let error = check_event(&event(&text(128)), RoomVersion::V12);
        assert_eq!(error, Err(LimitError::Field { field, bytes: 256 }));
    }
}

#[test]
fn event_id_counts_where_it_is_chosen() {
    let event = format!(r#"{{"event_id":"${}","content":{{}}}}"#, "x".repeat(255));
    for version in RoomVersion::ALL {
        let counts = version <= RoomVersion::V2;
        assert_eq!(check_event(&event, version).is_err(), counts, "{version}");
    }
}

#[test]
fn fields_are_checked_before_an_event_is_formed() {
    let long = "x".repeat(256);
    let event = EventView::new("m.room.topic", "@a:b.org", "{}");
    assert_eq!(check_fields(&event), Ok(()));
    assert_eq!(check_fields(&event.state_key(&long[1..])), Ok(()));
    assert!(check_fields(&event.state_key(&long)).is_err());
    assert!(check_fields(&event.room_id(&long)).is_err());
    assert!(check_fields(&EventView::new(&long, "@a:b.org", "{}")).is_err());
    assert!(check_fields(&EventView::new("m.x", &long, "{}")).is_err());
}

#[test]
fn numbers_are_checked_too() {
    let event = r#"{"content":{"a":1.5},"sender":"@a:b.org","type":"m.x"}"#;
    let error = check_event(event, RoomVersion::V6).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the number at content.a is not an integer"
    );
    assert_eq!(check_event(event, RoomVersion::V5), Ok(()));
}
