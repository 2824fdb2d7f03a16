//! Constructors and accessors of whole events.

use super::content::read_json;
use super::definitions::BasicEvent;
use super::{
    AnyAccountData, AnyEphemeral, AnyMessage, AnyState, AnyToDevice, EventContent, EventError,
    RoomEvent, StrippedState, ToDeviceEvent, UnknownContent,
};
use crate::Raw;

impl RoomEvent {
    /// Reads an event, with or without `room_id`.
    ///
    /// # Errors
    /// If a field of the event is missing or invalid. The content is not checked.
    pub fn from_raw<T>(raw: &Raw<T>) -> Result<Self, EventError> {
        read_json("room", raw.json())
    }

    /// Whether the event was redacted.
    pub fn is_redacted(&self) -> bool {
        let unsigned = self.unsigned.as_ref();
        unsigned.is_some_and(|unsigned| unsigned.redacted_because.is_some())
    }

    /// The content, if this is a state event.
    ///
    /// The content of a redacted event may lack required fields; then it is [`AnyState::Unknown`].
    #[inline]
    pub fn state(&self) -> Option<Result<AnyState, EventError>> {
        self.state_key.as_ref()?;
        let read = AnyState::read(&self.event_type, &self.content);
        Some(read.or_else(|error| self.rest(error).map(AnyState::Unknown)))
    }

    /// The content, if this is not a state event.
    ///
    /// The content of a redacted event may lack required fields; then it is
    /// [`AnyMessage::Unknown`].
    #[inline]
    pub fn message(&self) -> Option<Result<AnyMessage, EventError>> {
        if self.state_key.is_some() {
            return None;
        }
        let read = AnyMessage::read(&self.event_type, &self.content);
        Some(read.or_else(|error| self.rest(error).map(AnyMessage::Unknown)))
    }

    /// The content as a `C`, if the event is of that type.
    pub fn content_as<C: EventContent>(&self) -> Option<Result<C, EventError>> {
        let is_one = if C::TYPE.ends_with('.') {
            self.event_type.starts_with(C::TYPE)
        } else {
            self.event_type == C::TYPE
        };
        is_one.then(|| C::from_raw(&self.content))
    }

    fn rest(&self, error: EventError) -> Result<UnknownContent, EventError> {
        if self.is_redacted() {
            Ok(UnknownContent::new(&*self.event_type, self.content.clone()))
        } else {
            Err(error)
        }
    }
}

impl StrippedState {
    /// Reads an event.
    ///
    /// # Errors
    /// If a field of the event is missing or invalid. The content is not checked.
    pub fn from_raw<T>(raw: &Raw<T>) -> Result<Self, EventError> {
        read_json("stripped state", raw.json())
    }

    /// The content.
    ///
    /// # Errors
    /// If it does not match the type.
    #[inline]
    pub fn state(&self) -> Result<AnyState, EventError> {
        AnyState::read(&self.event_type, &self.content)
    }
}

impl ToDeviceEvent {
    /// Reads an event.
    ///
    /// # Errors
    /// If a field of the event is missing or invalid. The content is not checked.
    pub fn from_raw<T>(raw: &Raw<T>) -> Result<Self, EventError> {
        read_json("to-device", raw.json())
    }

    /// The content.
    ///
    /// # Errors
    /// If it does not match the type.
    #[inline]
    pub fn to_device(&self) -> Result<AnyToDevice, EventError> {
        AnyToDevice::read(&self.event_type, &self.content)
    }
}

impl BasicEvent {
    /// Reads an event.
    ///
    /// # Errors
    /// If a field of the event is missing or invalid. The content is not checked.
    pub fn from_raw<T>(raw: &Raw<T>) -> Result<Self, EventError> {
        read_json("basic", raw.json())
    }

    /// The content as an ephemeral event: typing, receipts, presence.
    ///
    /// # Errors
    /// If it does not match the type.
    #[inline]
    pub fn ephemeral(&self) -> Result<AnyEphemeral, EventError> {
        AnyEphemeral::read(&self.event_type, &self.content)
    }

    /// The content as account data.
    ///
    /// # Errors
    /// If it does not match the type.
    #[inline]
    pub fn account_data(&self) -> Result<AnyAccountData, EventError> {
        AnyAccountData::read(&self.event_type, &self.content)
    }
}
