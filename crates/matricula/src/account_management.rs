//! What is done with an account after it was made: password, addresses, devices, profile, end.

use matricula_api::{
    ApiError, ErrorCode, MxcUri,
    client::{
        administrative_contact::{Delete3Pid, GetAccount3Pids, ThirdPartyIdentifier},
        definitions::{ClientDevice, Medium},
        device_management::{DeleteDevices, GetDevices, UpdateDevice},
        profile::{DeleteProfileField, GetUserProfile, GetUserProfileResponse, SetProfileField},
    },
    oauth::{AccountAction, AccountPage},
    uia::UiaEndpoint,
};
use matricula_auth::{AccountError, Conversation, UiaRequest};
use serde_json::{Value, json};

use crate::{Error, NoStore, PromptHandler, Session, SessionStore, drive};

// The fields of a profile that every server has.
const DISPLAY_NAME: &str = "displayname";
const AVATAR: &str = "avatar_url";

impl Session {
    /// Sends a request to an operation that may ask who is there, and does what it asks for.
    ///
    /// ```no_run
    /// # async fn example(session: matricula::Session) -> Result<(), matricula::Error> {
    /// use matricula::{api::client::device_management::DeleteDevice, auth::{Prompt, Answer}};
    ///
    /// let mut person = |_: &Prompt| Answer::Text("the password".into());
    /// session.authenticated(DeleteDevice::new("OLDPHONE"), &mut person).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the server refuses, no answer came, or the person has no answer.
    pub async fn authenticated<E: UiaEndpoint + Clone>(
        &self,
        request: E,
        person: &mut (impl PromptHandler + ?Sized),
    ) -> Result<E::Response, Error> {
        let mut conversation = UiaRequest::new(&self.account(), request);
        self.run(&mut conversation, &mut NoStore, person).await
    }

    /// Runs a conversation about this account to its end: [`PasswordChange`](matricula_auth::PasswordChange),
    /// [`Deactivation`](matricula_auth::Deactivation), [`AddThreepid`](matricula_auth::AddThreepid),
    /// [`UiaRequest`].
    ///
    /// After a change of password an [`AccountStore`](crate::AccountStore) keeps the new password with
    /// the account, where it was made here. [`Session::account`] still has the old one.
    ///
    /// ```no_run
    /// # async fn example(session: matricula::Session) -> Result<(), matricula::Error> {
    /// use matricula::{AccountStore, auth::{PasswordChange, Prompt, Answer}};
    ///
    /// let mut change = PasswordChange::generated(&session.account()).keep_devices(true);
    /// let mut person = |_: &Prompt| Answer::Text("the old password".into());
    /// session.run(&mut change, &mut AccountStore::new("/var/lib/bot"), &mut person).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the conversation fails, or something could not be stored.
    pub async fn run<C>(
        &self,
        conversation: &mut C,
        keeper: &mut (impl SessionStore + ?Sized),
        person: &mut (impl PromptHandler + ?Sized),
    ) -> Result<C::Output, Error>
    where
        C: Conversation,
        Error: From<C::Error>,
    {
        // The conversation's requests name the token, and are not sent again where it is refused.
        self.renew_if_due().await?;
        drive(conversation, self.runner(), keeper, person).await
    }

    /// The email addresses and phone numbers of the account.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub async fn addresses(&self) -> Result<Vec<ThirdPartyIdentifier>, Error> {
        let answer = self.call(GetAccount3Pids::default()).await?;
        Ok(answer.threepids.unwrap_or_default())
    }

    /// Takes an email address or phone number, as the server [lists](Session::addresses) it, from the
    /// account. It is no error if the account has not got it.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub async fn remove_address(&self, medium: Medium, address: &str) -> Result<(), Error> {
        match self.call(Delete3Pid::new(medium, address)).await {
            Ok(_) => Ok(()),
            Err(Error::Api(ApiError::Matrix(error)))
                if error.code == ErrorCode::ThreepidNotFound =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The devices that are signed in to the account.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub async fn devices(&self) -> Result<Vec<ClientDevice>, Error> {
        let answer = self.call(GetDevices::default()).await?;
        Ok(answer.devices.unwrap_or_default())
    }

    /// Names a device for people.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub async fn rename_device(&self, device_id: &str, name: &str) -> Result<(), Error> {
        let request = UpdateDevice::new(device_id).display_name(name);
        self.call(request).await.map(drop)
    }

    /// Signs devices out, for which the server may ask who is there. It is no error if one is gone
    /// already.
    ///
    /// # Errors
    /// Where the account is kept by an OAuth 2.0 server: [`AccountError::AccountPageNeeded`] names the
    /// page on which a person does it. Else as [`Session::authenticated`].
    pub async fn delete_devices(
        &self,
        device_ids: Vec<String>,
        person: &mut (impl PromptHandler + ?Sized),
    ) -> Result<(), Error> {
        self.on_account_page(&device_ids)?;
        let request = DeleteDevices::new(device_ids);
        self.authenticated(request, person).await.map(drop)
    }

    /// Where an OAuth 2.0 server keeps the account, devices are signed out on its page.
    ///
    /// # Errors
    /// There, the page.
    pub fn on_account_page(&self, device_ids: &[String]) -> Result<(), AccountError> {
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

    /// What the account shows of itself; nothing where it has never said anything.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub async fn profile(&self) -> Result<GetUserProfileResponse, Error> {
        let user_id = self.account().user_id;
        match self.call(GetUserProfile::new(user_id)).await {
            Err(Error::Api(ApiError::Matrix(error))) if error.code == ErrorCode::NotFound => {
                Ok(GetUserProfileResponse::default())
            }
            answer => answer,
        }
    }

    /// Sets the name that others see; `None` takes it away.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub async fn set_display_name(&self, name: Option<&str>) -> Result<(), Error> {
        self.set_profile(DISPLAY_NAME, name).await
    }

    /// Sets the picture that others see, which the server has already; `None` takes it away.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub async fn set_avatar(&self, picture: Option<&MxcUri>) -> Result<(), Error> {
        self.set_profile(AVATAR, picture.map(MxcUri::as_str)).await
    }

    async fn set_profile(&self, field: &str, value: Option<&str>) -> Result<(), Error> {
        let user_id = self.account().user_id;
        let set = |value: Value| SetProfileField::new(user_id.clone(), field, value);
        let Some(value) = value else {
            let removal = DeleteProfileField::new(user_id.clone(), field);
            return match self.call(removal).await {
                // Servers of before version 1.16 know an empty text instead.
                Err(Error::Api(ApiError::Matrix(error)))
                    if error.code == ErrorCode::Unrecognized =>
                {
                    self.call(set(json!(""))).await.map(drop)
                }
                answer => answer.map(drop),
            };
        };
        self.call(set(json!(value))).await.map(drop)
    }
}
