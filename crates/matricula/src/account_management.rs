//! Account management: password, email addresses and phone numbers, devices, profile, deactivation.

use matricula_api::{
    ApiError, ErrorCode, MxcUri,
    client::{
        administrative_contact::{Delete3Pid, GetAccount3Pids, ThirdPartyIdentifier},
        definitions::{ClientDevice, Medium},
        device_management::{DeleteDevices, GetDevices, UpdateDevice},
        oauth_server_metadata::GetAuthMetadata,
        profile::{DeleteProfileField, GetUserProfile, GetUserProfileResponse, SetProfileField},
    },
    oauth::{AccountAction, AccountPage},
    uia::UiaEndpoint,
};
use matricula_auth::{AccountError, AuthError, Conversation, OAuthOffer, ServerError, UiaRequest};
use serde_json::{Value, json};

use crate::{
    Error, NoStore, PromptHandler, Session, SessionStore, drive,
    future::{BoxFuture, boxed},
};

// The profile fields that every server supports.
const DISPLAY_NAME: &str = "displayname";
const AVATAR: &str = "avatar_url";

impl Session {
    /// Calls an operation with user-interactive authentication, and completes its stages.
    ///
    /// ```no_run
    /// # async fn example(session: matricula::Session) -> Result<(), matricula::Error> {
    /// use matricula::{api::client::device_management::DeleteDevice, auth::{Prompt, Answer}};
    ///
    /// let mut prompts = |_: &Prompt| Answer::Text("the password".into());
    /// session.authenticated(DeleteDevice::new("OLDPHONE"), &mut prompts).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the server refuses, there is no response, or a prompt has no answer.
    pub async fn authenticated<E: UiaEndpoint + Clone>(
        &self,
        request: E,
        prompts: &mut (impl PromptHandler + ?Sized),
    ) -> Result<E::Response, Error> {
        let mut conversation = UiaRequest::new(&self.account(), request);
        self.run(&mut conversation, &mut NoStore, prompts).await
    }

    /// Runs a conversation about this account to its end: [`PasswordChange`](matricula_auth::PasswordChange),
    /// [`Deactivation`](matricula_auth::Deactivation), [`AddThreepid`](matricula_auth::AddThreepid),
    /// [`UiaRequest`].
    ///
    /// After a password change, an [`AccountStore`](crate::AccountStore) has the new password if it
    /// was generated. [`Session::account`] still has the old one.
    ///
    /// ```no_run
    /// # async fn example(session: matricula::Session) -> Result<(), matricula::Error> {
    /// use matricula::{AccountStore, auth::{PasswordChange, Prompt, Answer}};
    ///
    /// let mut change = PasswordChange::generated(&session.account()).keep_devices(true);
    /// let mut prompts = |_: &Prompt| Answer::Text("the old password".into());
    /// session.run(&mut change, &mut AccountStore::new("/var/lib/bot"), &mut prompts).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AccountError::AccountPageNeeded`] if the server does not have the operation because an OAuth 2.0
    /// server manages the accounts. Otherwise if the conversation fails, or its writes cannot be stored.
    pub async fn run<C>(
        &self,
        conversation: &mut C,
        store: &mut (impl SessionStore + ?Sized),
        prompts: &mut (impl PromptHandler + ?Sized),
    ) -> Result<C::Output, Error>
    where
        C: Conversation,
        Error: From<C::Error>,
    {
        // Requests of a conversation are not sent again if the token is rejected.
        self.renew_if_due().await?;
        match drive(conversation, self.runner(), store, prompts).await {
            Ok(output) => Ok(output),
            Err(error) => Err(self.explained(error).await),
        }
    }

    /// The error; if the server has no such operation because an OAuth 2.0 server manages the accounts,
    /// the page on which a person does it.
    fn explained(&self, error: Error) -> BoxFuture<'_, Error> {
        boxed(async move {
            let is_missing = match &error {
                Error::Api(ApiError::Matrix(refusal)) => refusal.code == ErrorCode::Unrecognized,
                Error::Api(ApiError::UnexpectedStatus { status }) => {
                    matches!(status, 404 | 405 | 501)
                }
                Error::Auth(AuthError::Server(ServerError::Refused { error, .. })) => {
                    error.code == ErrorCode::Unrecognized
                }
                // Something before the homeserver does not know it.
                Error::Auth(AuthError::Server(ServerError::NotMatrix { .. })) => true,
                _ => false,
            };
            match is_missing {
                true => self.account_page().await.unwrap_or(error),
                false => error,
            }
        })
    }

    /// The page on which a person manages the account, if an OAuth 2.0 server does. A session that was
    /// made without that server does not know it, so the homeserver is asked.
    async fn account_page(&self) -> Option<Error> {
        let page = AccountPage::default();
        let account = self.account();
        let (issuer, url) = match &account.oauth {
            Some(oauth) => (oauth.issuer.clone(), oauth.account_page(&page)),
            None => match self.call(GetAuthMetadata::default()).await {
                Ok(metadata) => {
                    let url = OAuthOffer::of(&metadata).account_page(&page);
                    (metadata.issuer, url)
                }
                Err(Error::Api(error)) if error.is_failure() => {
                    let error = ServerError::Unavailable {
                        name: format!("the OAuth 2.0 server of {}", account.server),
                        what: error.to_string(),
                    };
                    return Some(error.into());
                }
                Err(_) => return None,
            },
        };
        Some(AccountError::AccountPageNeeded { issuer, url }.into())
    }

    /// The email addresses and phone numbers of the account.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn addresses(
        &self,
    ) -> impl Future<Output = Result<Vec<ThirdPartyIdentifier>, Error>> + Send {
        boxed(async move {
            match self.call(GetAccount3Pids::default()).await {
                Ok(answer) => Ok(answer.threepids.unwrap_or_default().into()),
                Err(error) => Err(self.explained(error).await),
            }
        })
    }

    /// Removes an email address or phone number, as the server [lists](Session::addresses) it, from
    /// the account. A missing address is not an error.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn remove_address<'a>(
        &'a self,
        medium: Medium,
        address: &'a str,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        boxed(async move {
            match self.call(Delete3Pid::new(medium, address)).await {
                Ok(_) => Ok(()),
                Err(Error::Api(ApiError::Matrix(error)))
                    if error.code == ErrorCode::ThreepidNotFound =>
                {
                    Ok(())
                }
                Err(error) => Err(self.explained(error).await),
            }
        })
    }

    /// The devices of the account.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn devices(&self) -> impl Future<Output = Result<Vec<ClientDevice>, Error>> + Send {
        boxed(async move {
            let answer = self.call(GetDevices::default()).await?;
            Ok(answer.devices.unwrap_or_default().into())
        })
    }

    /// Sets the display name of a device.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn rename_device<'a>(
        &'a self,
        device_id: &'a str,
        name: &'a str,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        boxed(async move {
            let request = UpdateDevice::new(device_id).display_name(name);
            self.call(request).await.map(drop)
        })
    }

    /// Logs devices out. The server may ask for authentication. A missing device is not an error.
    ///
    /// # Errors
    /// [`AccountError::AccountPageNeeded`] if an OAuth 2.0 server manages the account: the error has
    /// the page on which a person does it. Otherwise as [`Session::authenticated`].
    pub async fn delete_devices(
        &self,
        device_ids: Vec<String>,
        prompts: &mut (impl PromptHandler + ?Sized),
    ) -> Result<(), Error> {
        self.check_no_account_page(&device_ids)?;
        let request = DeleteDevices::new(device_ids);
        self.authenticated(request, prompts).await.map(drop)
    }

    /// Checks that devices can be logged out here and not on the page of an OAuth 2.0 server.
    ///
    /// # Errors
    /// The page, if an OAuth 2.0 server manages the account.
    pub fn check_no_account_page(&self, device_ids: &[String]) -> Result<(), AccountError> {
        let Some(oauth) = &self.account().oauth else {
            return Ok(());
        };
        let page = match device_ids {
            [one] => AccountPage::default()
                .action(AccountAction::DeviceDelete)
                .device_id(one),
            _ => AccountPage::default().action(AccountAction::DevicesList),
        };
        Err(AccountError::AccountPageNeeded {
            issuer: oauth.issuer.clone(),
            url: oauth.account_page(&page),
        })
    }

    /// The profile of the account; empty if it was never set.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn profile(&self) -> impl Future<Output = Result<GetUserProfileResponse, Error>> + Send {
        boxed(async move {
            let user_id = self.account().user_id;
            match self.call(GetUserProfile::new(user_id)).await {
                Err(Error::Api(ApiError::Matrix(error))) if error.code == ErrorCode::NotFound => {
                    Ok(GetUserProfileResponse::default())
                }
                answer => answer,
            }
        })
    }

    /// Sets the display name; `None` removes it.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn set_display_name<'a>(
        &'a self,
        name: Option<&'a str>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        self.set_profile(DISPLAY_NAME, name)
    }

    /// Sets the avatar to an uploaded image; `None` removes it.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn set_avatar<'a>(
        &'a self,
        picture: Option<&'a MxcUri>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        self.set_profile(AVATAR, picture.map(MxcUri::as_str))
    }

    fn set_profile<'a>(
        &'a self,
        field: &'a str,
        value: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        boxed(async move {
            let user_id = self.account().user_id;
            let set = |value: Value| SetProfileField::new(user_id.clone(), field, value);
            let Some(value) = value else {
                let removal = DeleteProfileField::new(user_id.clone(), field);
                return match self.call(removal).await {
                    // Servers before Matrix 1.16 expect an empty string instead.
                    Err(Error::Api(ApiError::Matrix(error)))
                        if error.code == ErrorCode::Unrecognized =>
                    {
                        self.call(set(json!(""))).await.map(drop)
                    }
                    answer => answer.map(drop),
                };
            };
            self.call(set(json!(value))).await.map(drop)
        })
    }
}
