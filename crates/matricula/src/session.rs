//! A signed-in account that answers calls.

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::{logout::Logout, refresh::Refresh},
};
use matricula_auth::{Account, AuthError, OAuthLogout, OAuthRefresh, Question, Reply};
use matricula_http::{Runner, now};
use matricula_job::{
    Auth, Job, OperationAuth, Patch, Response,
    scheduler::{Event, Outcome},
};

use crate::{Error, Keeper, drive};

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
pub struct Session {
    account: Account,
    runner: Runner,
}

impl Session {
    /// A session for this account over this runner.
    pub fn new(account: Account, runner: Runner) -> Self {
        let session = Self { account, runner };
        session.hand_over_token();
        session
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

    /// Renews the token, where it was issued. The new pair is stored before it is used.
    ///
    /// # Errors
    /// Where there is nothing to renew it with, the server refuses, or it could not be stored.
    pub async fn refresh(&mut self, keeper: &mut (impl Keeper + ?Sized)) -> Result<(), Error> {
        let Some(refresh_token) = self.account.refresh_token.clone() else {
            return Err(Error::NoRefreshToken {
                user_id: self.account.user_id.to_string(),
            });
        };
        if self.account.oauth.is_some() {
            return self.refresh_by_oauth(keeper).await;
        }
        let answer = self.call(Refresh::new(refresh_token)).await?;
        self.account.renew(now(), answer);
        let mut patch = Patch::default();
        self.account.put_into(&mut patch);
        keeper.commit(&patch)?;
        self.hand_over_token();
        Ok(())
    }

    async fn refresh_by_oauth(&mut self, keeper: &mut (impl Keeper + ?Sized)) -> Result<(), Error> {
        let mut refresh = OAuthRefresh::new(self.account.clone());
        match drive(&mut refresh, &self.runner, keeper, &mut nobody).await {
            Ok(account) => {
                self.account = account;
                self.hand_over_token();
                Ok(())
            }
            Err(error) => {
                if matches!(error, Error::Auth(AuthError::SignedOut { .. })) {
                    self.runner.credentials().remove(&self.account.credential());
                    self.account.end_session();
                }
                Err(error)
            }
        }
    }

    /// Ends the session on the server that issued its tokens, and then forgets them.
    ///
    /// # Errors
    /// Where the server could not be told. A server that does not know the token any more is no
    /// error, nor one that lets no guest sign out: a guest's token is forgotten all the same.
    pub async fn log_out(mut self, keeper: &mut (impl Keeper + ?Sized)) -> Result<Account, Error> {
        if self.account.oauth.is_some() {
            let credential = self.account.credential();
            let mut logout = OAuthLogout::new(self.account);
            let account = drive(&mut logout, &self.runner, keeper, &mut nobody).await?;
            self.runner.credentials().remove(&credential);
            return Ok(account);
        }
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

/// Nothing that is driven here asks anybody.
fn nobody(_: &Question) -> Reply {
    Reply::Nobody
}
