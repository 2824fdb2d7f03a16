//! A single-process Matrix homeserver without federation, for development, tests and offline use.
