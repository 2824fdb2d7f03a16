//! A Matrix session in a few lines.
