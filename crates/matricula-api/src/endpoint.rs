//! The trait of all operations: conversion to a job, and reading of the response.

use matricula_core::{Job, Operation, Response, ServerUrl};

use crate::{ApiError, error};

/// A typed request.
pub trait Endpoint {
    /// The properties of the operation.
    const OPERATION: Operation;

    /// The response on success.
    type Response;

    /// The request as a job for `server`, without a credential. If [`Operation::auth`] requires
    /// one, set it with [`Job::with_auth`].
    fn job(&self, server: &ServerUrl) -> Job;

    /// Reads a successful response. For any response, use [`Endpoint::read`].
    ///
    /// # Errors
    /// [`ApiError::Malformed`] names the invalid field.
    fn read_success(response: &Response) -> Result<Self::Response, ApiError>;

    /// Reads a response.
    ///
    /// # Errors
    /// The failure that the response reports.
    fn read(response: &Response) -> Result<Self::Response, ApiError> {
        match error::read(response) {
            Some(error) => Err(error),
            None => Self::read_success(response),
        }
    }
}
