//! The generated code against the specification's data.

mod codes;
mod conformance;
mod data;
mod examples;
mod fixtures;
mod invalid_parts;
mod samples;
mod schema;
