//! Conversions of identifiers and timestamps.

use matricula_api::{
    EventId, IdError, MxcUri, RoomAliasId, RoomId, RoomIdOrAlias, ServerName, UserId,
};
use matricula_core::Timestamp;
use ruma_common::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedMxcUri, OwnedRoomAliasId, OwnedRoomId,
    OwnedRoomOrAliasId, OwnedServerName, OwnedUserId, RoomOrAliasId,
};

/// Conversion of an identifier or timestamp to ruma.
///
/// ```
/// use matricula_ruma::ToRuma;
///
/// let alice: matricula_api::UserId = "@alice:example.org".parse()?;
/// let alice: ruma_common::OwnedUserId = alice.to_ruma()?;
/// assert_eq!(alice, "@alice:example.org");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ToRuma {
    /// The type in ruma.
    type Ruma;

    /// Converts the value.
    ///
    /// # Errors
    /// If ruma is stricter.
    fn to_ruma(&self) -> Result<Self::Ruma, Mismatch>;
}

/// Conversion of an identifier or timestamp of ruma.
///
/// ```
/// use matricula_ruma::ToMatricula;
///
/// let alice = ruma_common::UserId::parse("@alice:example.org")?;
/// let alice: matricula_api::UserId = alice.to_matricula()?;
/// assert_eq!(alice.localpart(), "alice");
///
/// // Ruma checks addresses of files when their parts are asked for, matricula at once.
/// let nowhere = ruma_common::OwnedMxcUri::from("https://example.org/a");
/// assert!(nowhere.to_matricula().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ToMatricula {
    /// The type in matricula.
    type Matricula;

    /// Converts the value.
    ///
    /// # Errors
    /// If matricula is stricter.
    fn to_matricula(&self) -> Result<Self::Matricula, Mismatch>;
}

/// A value that the other side rejects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// It is not a valid identifier of matricula.
    #[error(transparent)]
    ToMatricula(#[from] IdError),
    /// It is not a valid identifier of ruma.
    #[error("{text:?} is not a {what} for ruma: {reason}")]
    ToRuma {
        /// The start of the text.
        text: String,
        /// The kind.
        what: &'static str,
        /// The reason of ruma.
        reason: String,
    },
}

fn refused_by_ruma(text: &str, what: &'static str, reason: &dyn ToString) -> Mismatch {
    Mismatch::ToRuma {
        text: text.chars().take(80).collect(),
        what,
        reason: reason.to_string(),
    }
}

macro_rules! identifiers {
    ($($ours:ty, $theirs:ty, $owned:ty, $what:literal;)*) => {$(
        impl ToRuma for $ours {
            type Ruma = $owned;

            fn to_ruma(&self) -> Result<$owned, Mismatch> {
                let text = self.as_str();
                <$owned>::try_from(text).map_err(|why| refused_by_ruma(text, $what, &why))
            }
        }

        impl ToMatricula for $theirs {
            type Matricula = $ours;

            fn to_matricula(&self) -> Result<$ours, Mismatch> {
                Ok(self.as_str().parse()?)
            }
        }
    )*};
}

identifiers! {
    UserId, ruma_common::UserId, OwnedUserId, "user id";
    RoomId, ruma_common::RoomId, OwnedRoomId, "room id";
    RoomAliasId, ruma_common::RoomAliasId, OwnedRoomAliasId, "room alias";
    RoomIdOrAlias, RoomOrAliasId, OwnedRoomOrAliasId, "room id or alias";
    EventId, ruma_common::EventId, OwnedEventId, "event id";
    ServerName, ruma_common::ServerName, OwnedServerName, "server name";
    MxcUri, ruma_common::MxcUri, OwnedMxcUri, "content address";
}

impl ToRuma for Timestamp {
    type Ruma = MilliSecondsSinceUnixEpoch;

    fn to_ruma(&self) -> Result<MilliSecondsSinceUnixEpoch, Mismatch> {
        let millis = self.as_millis();
        let kept = millis.try_into().map(MilliSecondsSinceUnixEpoch);
        kept.map_err(|why| refused_by_ruma(&millis.to_string(), "timestamp", &why))
    }
}

impl ToMatricula for MilliSecondsSinceUnixEpoch {
    type Matricula = Timestamp;

    fn to_matricula(&self) -> Result<Timestamp, Mismatch> {
        Ok(Timestamp::from_millis(self.get().into()))
    }
}
