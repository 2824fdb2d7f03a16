//! Rate limits.

use serde::{Deserialize, Serialize};

/// Rate limits, by network address unless noted otherwise. An absent limit is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Created accounts. While the limit is exceeded, every `POST /register` is rejected.
    pub registration: Option<Limit>,
    /// Login attempts.
    pub login: Option<Limit>,
    /// Checks of registration tokens, and uses of invalid ones.
    pub token_validity: Option<Limit>,
    /// Requested messages that validate a third-party identifier.
    pub validation_messages: Option<Limit>,
    /// Events that an account sends to rooms.
    pub room_events: Option<Limit>,
    /// Uploads and new pending uploads of an account.
    pub uploads: Option<Limit>,
}

impl Limits {
    /// Sets [`Limits::registration`].
    #[must_use]
    pub fn registration(mut self, limit: Limit) -> Self {
        self.registration = Some(limit);
        self
    }

    /// Sets [`Limits::login`].
    #[must_use]
    pub fn login(mut self, limit: Limit) -> Self {
        self.login = Some(limit);
        self
    }

    /// Sets [`Limits::token_validity`].
    #[must_use]
    pub fn token_validity(mut self, limit: Limit) -> Self {
        self.token_validity = Some(limit);
        self
    }

    /// Sets [`Limits::validation_messages`].
    #[must_use]
    pub fn validation_messages(mut self, limit: Limit) -> Self {
        self.validation_messages = Some(limit);
        self
    }

    /// Sets [`Limits::room_events`].
    #[must_use]
    pub fn room_events(mut self, limit: Limit) -> Self {
        self.room_events = Some(limit);
        self
    }

    /// Sets [`Limits::uploads`].
    #[must_use]
    pub fn uploads(mut self, limit: Limit) -> Self {
        self.uploads = Some(limit);
        self
    }

    pub(super) fn all(&self) -> [Option<Limit>; 6] {
        [
            self.registration,
            self.login,
            self.token_validity,
            self.validation_messages,
            self.room_events,
            self.uploads,
        ]
    }
}

/// A rate limit: a burst, and a rate in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Requests per second in the long run.
    pub per_second: f64,
    /// Requests at once.
    pub burst: u32,
}

impl Limit {
    /// A limit of `per_second` in the long run, and `burst` at once.
    pub const fn new(per_second: f64, burst: u32) -> Self {
        Self { per_second, burst }
    }
}
