//! Outcomes and waits in words, for people.

use std::fmt;

use super::{Outcome, WaitReason};

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Responded(response) => {
                write!(
                    f,
                    "the server answered with status {}",
                    response.status_code()
                )
            }
            Self::Failed(error) => error.fmt(f),
            Self::InDoubt(error) => write!(f, "{error}; the server may have acted on the request"),
            Self::Cancelled => f.write_str("it was cancelled"),
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RateLimited => f.write_str("the server accepts no more requests for now"),
            Self::Unreachable(why) => f.write_str(why),
        }
    }
}
