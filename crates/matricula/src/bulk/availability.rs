//! Asks the server whether the usernames of a list are available.

use matricula_admin::AdminError;
use matricula_admin::bulk::{AdminCredentials, NewRow};
use matricula_api::{
    ApiError, Endpoint, ErrorCode, UserId, client::registration::CheckUsernameAvailability,
    synapse::GetUser,
};
use matricula_core::{Auth, Job, Response};
use matricula_http::Runner;

use crate::{Error, future::boxed, session::send};

/// Whether a username is available.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Availability {
    /// It is available.
    Available,
    /// It is taken: the row would end as [existing](super::RowState::Exists).
    Taken,
    /// The server would refuse it; with its message.
    Refused(String),
    /// The server does not say, with these credentials.
    Unknown,
}

/// Asks the server whether the username of a row is available. It sends only GET requests, which
/// change nothing.
///
/// # Errors
/// If there is no response, or an error that concerns all rows.
pub fn check_availability<'a>(
    runner: &'a Runner,
    credentials: &'a AdminCredentials,
    row: &'a NewRow,
) -> impl Future<Output = Result<Availability, Error>> + Send {
    boxed(async move {
        let Some(job) = request(credentials, row) else {
            return Ok(Availability::Unknown);
        };
        let response = send(runner, job).await?;
        match credentials {
            AdminCredentials::Admin(account) => match GetUser::read(&response) {
                Ok(_) => Ok(Availability::Taken),
                Err(ApiError::Matrix(error)) => match error.code {
                    ErrorCode::NotFound => Ok(Availability::Available),
                    ErrorCode::Forbidden => Err(AdminError::NotAnAdministrator {
                        server: account.server.clone(),
                        user_id: account.user_id.clone(),
                        message: error.message,
                    }
                    .into()),
                    ErrorCode::Unrecognized => Err(AdminError::NoAdministration {
                        server: account.server.clone(),
                        message: error.message,
                    }
                    .into()),
                    _ => Err(ApiError::Matrix(error).into()),
                },
                Err(error) => Err(error.into()),
            },
            _ => read(&response),
        }
    })
}

fn request(credentials: &AdminCredentials, row: &NewRow) -> Option<Job> {
    let name = row.localpart();
    match credentials {
        AdminCredentials::Admin(account) => {
            let server = account.user_id.server_name();
            let user_id: UserId = format!("@{name}:{server}").parse().ok()?;
            let auth = Auth::Required(account.credential());
            Some(GetUser { user_id }.job(&account.server).with_auth(auth))
        }
        // The usernames of an application service are reserved: the server does not say more.
        AdminCredentials::Appservice { .. } => None,
        other => Some(CheckUsernameAvailability::new(name).job(other.server())),
    }
}

fn read(response: &Response) -> Result<Availability, Error> {
    match CheckUsernameAvailability::read(response) {
        Ok(answer) if answer.available == Some(false) => Ok(Availability::Taken),
        Ok(_) => Ok(Availability::Available),
        Err(ApiError::Matrix(error)) => Ok(match error.code {
            ErrorCode::UserInUse => Availability::Taken,
            ErrorCode::InvalidUsername | ErrorCode::Exclusive => {
                Availability::Refused(error.message)
            }
            // A server with closed registration does not say.
            _ if error.status < 500 => Availability::Unknown,
            _ => return Err(ApiError::Matrix(error).into()),
        }),
        Err(error) => Err(error.into()),
    }
}
