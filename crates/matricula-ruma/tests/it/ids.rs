//! Conversion of identifiers and timestamps, for arbitrary text.

use std::fmt::{Debug, Display};

use matricula_api::{EventId, MxcUri, RoomAliasId, RoomId, RoomIdOrAlias, ServerName, UserId};
use matricula_core::Timestamp;
use matricula_ruma::{ToMatricula, ToRuma};
use proptest::prelude::*;
use ruma_common::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedMxcUri, OwnedRoomAliasId, OwnedRoomId,
    OwnedRoomOrAliasId, OwnedServerName, OwnedUserId,
};

/// Both sides accept the same text, or the conversion is an error.
fn hold<Ours, Theirs, Borrowed>(text: &str) -> Result<(), TestCaseError>
where
    Ours: for<'a> TryFrom<&'a str> + ToRuma<Ruma = Theirs> + Display + Debug + PartialEq,
    Theirs: for<'a> TryFrom<&'a str> + std::ops::Deref<Target = Borrowed>,
    Theirs: Display + Debug + PartialEq,
    Borrowed: ToMatricula<Matricula = Ours> + ?Sized,
{
    let ours = Ours::try_from(text).ok();
    let theirs = Theirs::try_from(text).ok();
    if let Some(ours) = &ours {
        let given = ours.to_ruma();
        prop_assert_eq!(given.as_ref().ok(), theirs.as_ref());
        if let Ok(given) = given {
            prop_assert_eq!(given.to_string(), text);
            prop_assert_eq!(&given.to_matricula().unwrap(), ours);
        }
    }
    if let Some(theirs) = &theirs {
        let given = theirs.to_matricula();
        prop_assert_eq!(given.as_ref().ok(), ours.as_ref());
        if let Ok(given) = given {
            prop_assert_eq!(given.to_string(), text);
            prop_assert_eq!(&given.to_ruma().unwrap(), theirs);
        }
    }
    Ok(())
}

fn hold_all(text: &str) -> Result<(), TestCaseError> {
    hold::<UserId, OwnedUserId, _>(text)?;
    hold::<RoomId, OwnedRoomId, _>(text)?;
    hold::<RoomAliasId, OwnedRoomAliasId, _>(text)?;
    hold::<RoomIdOrAlias, OwnedRoomOrAliasId, _>(text)?;
    hold::<EventId, OwnedEventId, _>(text)?;
    hold::<ServerName, OwnedServerName, _>(text)?;
    hold::<MxcUri, OwnedMxcUri, _>(text)
}

proptest! {
    #[test]
    fn arbitrary_text_is_checked_alike(text in ".{0,300}") {
        hold_all(&text)?;
    }

    #[test]
    fn similar_identifiers_are_checked_alike(
        text in "(mxc://|[@!#$])?[a-zA-Z0-9._=/+-]{0,30}([:/][a-z0-9.\\[\\]:-]{0,30}(:[0-9]{0,6})?)?"
    ) {
        hold_all(&text)?;
    }

    #[test]
    fn timestamps_round_trip(millis: u64) {
        moment(millis)?;
    }

    #[test]
    fn large_timestamps_are_checked(millis in (1_u64 << 53) - 9..(1 << 53) + 9) {
        moment(millis)?;
    }
}

fn moment(millis: u64) -> Result<(), TestCaseError> {
    let ours = Timestamp::from_millis(millis);
    let theirs = ours.to_ruma();
    prop_assert_eq!(theirs.is_ok(), millis < 1 << 53);
    if let Ok(theirs) = theirs {
        prop_assert_eq!(u64::from(theirs.get()), millis);
        prop_assert_eq!(theirs.to_matricula().unwrap(), ours);
    }
    Ok(())
}

#[test]
fn every_identifier_kind_is_generated() {
    let met = [
        UserId::try_from("@alice:example.org")
            .unwrap()
            .to_ruma()
            .is_ok(),
        RoomId::try_from("!a:example.org")
            .unwrap()
            .to_ruma()
            .is_ok(),
        RoomId::try_from("!withoutaserver")
            .unwrap()
            .to_ruma()
            .is_ok(),
        RoomAliasId::try_from("#lobby:example.org")
            .unwrap()
            .to_ruma()
            .is_ok(),
        RoomIdOrAlias::try_from("#lobby:example.org")
            .unwrap()
            .to_ruma()
            .is_ok(),
        EventId::try_from("$e").unwrap().to_ruma().is_ok(),
        ServerName::try_from("[::1]:8448")
            .unwrap()
            .to_ruma()
            .is_ok(),
        MxcUri::try_from("mxc://example.org/a")
            .unwrap()
            .to_ruma()
            .is_ok(),
    ];
    assert_eq!(met, [true; 8]);
}

#[test]
fn mismatch_names_kind_and_side() {
    let nowhere = OwnedMxcUri::from("https://example.org/a");
    let error = nowhere.to_matricula().unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"https://example.org/a\" is not a content address: MXC URI schema was not mxc://"
    );
    let late = Timestamp::from_millis(1 << 53).to_ruma().unwrap_err();
    assert!(late.to_string().contains("9007199254740992"), "{late}");
    assert_eq!(
        MilliSecondsSinceUnixEpoch(7_u32.into()).to_matricula(),
        Ok(Timestamp::from_millis(7))
    );
}
