//! How often one address may do what costs or tells something.

use serde::{Deserialize, Serialize};

/// How often one address may do what costs or tells something; as often as it likes where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Accounts made. While it is exhausted, `POST /register` is refused altogether.
    pub registration: Option<Limit>,
    /// Attempts to log in.
    pub login: Option<Limit>,
    /// Registration tokens asked about, or tried and found wrong.
    pub token_validity: Option<Limit>,
    /// Messages asked for that prove an address.
    pub validation_messages: Option<Limit>,
    /// Events that one account sends to rooms.
    pub room_events: Option<Limit>,
    /// Files that one account uploads, and addresses that it makes for them.
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

/// So many at once, then so many a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many a second in the long run.
    pub per_second: f64,
    /// How many at once.
    pub burst: u32,
}

impl Limit {
    /// So many a second in the long run, and `burst` at once.
    pub const fn new(per_second: f64, burst: u32) -> Self {
        Self { per_second, burst }
    }
}
