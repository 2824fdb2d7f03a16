//! Every Matrix operation as a typed endpoint, generated from the specification.
