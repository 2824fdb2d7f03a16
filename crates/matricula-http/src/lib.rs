//! Carries Matrix jobs over HTTP.
