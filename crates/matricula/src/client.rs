//! A signed-in account that answers calls.

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::{logout::Logout, refresh::Refresh},
};
use matricula_auth::Account;
use matricula_http::{Runner, now};
use matricula_job::{
    Auth, Job, OperationAuth, Patch, Response,
    scheduler::{Event, Outcome},
};

use crate::{Error, Keeper};

/// Sends a job and waits for the answer, whatever it says; `watch` is told what happens meanwhile.
///
/// # Errors
/// Where no answer came.
pub async fn send(runner: &Runner, job: Job, watch: impl FnMut(&Event)) -> Result<Response, Error> {
    match runner.run(job, watch).await {
        Outcome::Done(response) => Ok(response),
        Outcome::Failed(error) => Err(Error::Transport(error)),
        Outcome::InDoubt(error) => Err(Error::InDoubt(error)),
        // Nobody cancels a job that only this future knows.
        other => unreachable!("{other:?}"),
    }
}

/// An account, ready to call any operation.
#[derive(Clone, Debug)]
pub struct Client {
    account: Account,
    runner: Runner,
}

impl Client {
    /// A client for this account over this runner.
    pub fn new(account: Account, runner: Runner) -> Self {
        let client = Self { account, runner };
        client.hand_over_token();
        client
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What carries its requests.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    fn hand_over_token(&self) {
        if let Some(token) = &self.account.access_token {
            let server = self.account.server.clone();
            self.runner
                .credentials()
                .insert(self.account.credential(), server, token.clone());
        }
    }

    /// The request as a job of this account.
    pub fn job<E: Endpoint>(&self, request: &E) -> Job {
        let job = request.job(&self.account.server);
        match E::OPERATION.auth {
            OperationAuth::Required => job.with_auth(Auth::Required(self.account.credential())),
            OperationAuth::Optional => job.with_auth(Auth::Optional(self.account.credential())),
            _ => job,
        }
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// Where there is no session, no answer, or another than hoped for.
    pub async fn call<E: Endpoint>(&self, request: E) -> Result<E::Response, Error> {
        if E::OPERATION.auth == OperationAuth::Required && self.account.access_token.is_none() {
            return Err(Error::NoSession {
                user_id: self.account.user_id.to_string(),
            });
        }
        let response = send(&self.runner, self.job(&request), |_| {}).await?;
        Ok(E::read(&response)?)
    }

    /// Renews the token. The new pair is stored before it is used.
    ///
    /// # Errors
    /// Where there is nothing to renew it with, the server refuses, or it could not be stored.
    pub async fn refresh(&mut self, keeper: &mut (impl Keeper + ?Sized)) -> Result<(), Error> {
        let Some(refresh_token) = self.account.refresh_token.clone() else {
            return Err(Error::NoRefreshToken {
                user_id: self.account.user_id.to_string(),
            });
        };
        let answer = self.call(Refresh::new(refresh_token)).await?;
        self.account.renew(now(), answer);
        let mut patch = Patch::default();
        self.account.put_into(&mut patch);
        keeper.commit(&patch)?;
        self.hand_over_token();
        Ok(())
    }

    /// Ends the session on the server, and then forgets its tokens.
    ///
    /// # Errors
    /// Where the server could not be told. A server that does not know the token any more is no
    /// error, nor one that lets no guest sign out: a guest's token is forgotten all the same.
    pub async fn log_out(mut self, keeper: &mut (impl Keeper + ?Sized)) -> Result<Account, Error> {
        match self.call(Logout::default()).await {
            Ok(_) => {}
            Err(Error::Api(ApiError::Matrix(error)))
                if error.code == ErrorCode::UnknownToken
                    || self.account.is_guest && error.code == ErrorCode::GuestAccessForbidden => {}
            Err(error) => return Err(error),
        }
        self.runner.credentials().remove(&self.account.credential());
        self.account.end_session();
        let mut patch = Patch::default();
        self.account.put_into(&mut patch);
        keeper.commit(&patch)?;
        Ok(self.account)
    }
}
