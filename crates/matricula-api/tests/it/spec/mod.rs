//! The generated code against the specification's data.

mod conformance;
mod data;
mod examples;
mod samples;
mod schema;
