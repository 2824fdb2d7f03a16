//! Looks for the names of a list on the server, changing nothing.

use matricula_admin::bulk::{AdminCredentials, NewRow};
use matricula_api::{
    ApiError, Endpoint, ErrorCode, UserId, client::registration::CheckUsernameAvailability,
    synapse::GetUser,
};
use matricula_auth::AuthError;
use matricula_core::{Auth, Job, Response};
use matricula_http::Runner;

use crate::{Error, session::send};

/// What the server says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// Nobody has it.
    Free,
    /// Somebody has it: the row would be reported as there already.
    Taken,
    /// It would be refused.
    Refused(String),
    /// The server does not say, on this route.
    Unknown,
}

/// Asks the server about the name of one row. These are GET requests: nothing is changed.
///
/// # Errors
/// Where there is no answer, or one that concerns all rows.
pub async fn look_up(
    runner: &Runner,
    access: &AdminCredentials,
    row: &NewRow,
) -> Result<Found, Error> {
    let Some(job) = question(access, row) else {
        return Ok(Found::Unknown);
    };
    let response = send(runner, job, |_| {}).await?;
    match access {
        AdminCredentials::Admin(account) => match GetUser::read(&response) {
            Ok(_) => Ok(Found::Taken),
            Err(ApiError::Matrix(error)) => match error.code {
                ErrorCode::NotFound => Ok(Found::Free),
                ErrorCode::Forbidden => Err(AuthError::NotAnAdministrator {
                    server: account.server.clone(),
                    user_id: account.user_id.clone(),
                }
                .into()),
                ErrorCode::Unrecognized => Err(AuthError::NoAdministration {
                    server: account.server.clone(),
                }
                .into()),
                _ => Err(ApiError::Matrix(error).into()),
            },
            Err(error) => Err(error.into()),
        },
        _ => availability(&response),
    }
}

fn question(access: &AdminCredentials, row: &NewRow) -> Option<Job> {
    let name = row.localpart();
    match access {
        AdminCredentials::Admin(account) => {
            let server = account.user_id.server_name();
            let user_id: UserId = format!("@{name}:{server}").parse().ok()?;
            let auth = Auth::Required(account.credential());
            Some(GetUser { user_id }.job(&account.server).with_auth(auth))
        }
        // The names of a service are kept for it: nobody is told whether they are free.
        AdminCredentials::Appservice { .. } => None,
        other => Some(CheckUsernameAvailability::new(name).job(other.server())),
    }
}

fn availability(response: &Response) -> Result<Found, Error> {
    match CheckUsernameAvailability::read(response) {
        Ok(answer) if answer.available == Some(false) => Ok(Found::Taken),
        Ok(_) => Ok(Found::Free),
        Err(ApiError::Matrix(error)) => Ok(match error.code {
            ErrorCode::UserInUse => Found::Taken,
            ErrorCode::InvalidUsername | ErrorCode::Exclusive => Found::Refused(error.message),
            // Where strangers may not register, nobody is told.
            _ if error.status < 500 => Found::Unknown,
            _ => return Err(ApiError::Matrix(error).into()),
        }),
        Err(error) => Err(error.into()),
    }
}
