//! [Application services](https://spec.matrix.org/v1.19/application-service-api/): programs that
//! register users of their own and act as them.

use matricula_api::{
    ErrorCode,
    client::registration::{Register, RegisterResponse},
};
use matricula_core::{Secret, StepContext, Timestamp};

use super::{
    Homeserver, login, names,
    refusal::{Fault, Refusal},
    register::Account,
    routes::Call,
    tokens::{Bearer, Wish},
    uia::Wanted,
};
use crate::ApplicationService;

pub(super) const SERVICE: &str = "m.login.application_service";

impl Homeserver {
    /// Whose token this is.
    pub(super) fn service(&self, token: &str) -> Option<&ApplicationService> {
        let token = Secret::from(token);
        let mut services = self.config.application_services.iter();
        services.find(|it| it.token == token)
    }

    /// Whether a service that signs in here would have a token of which it does not know what to do.
    fn refuses_login(&self, service: &ApplicationService) -> bool {
        service.manages_devices || self.config.is_oauth_alone()
    }
}

fn no_login() -> Refusal {
    let error = "an application service does not sign in here; register with inhibit_login, and \
                 act as the user";
    Refusal::new(400, ErrorCode::AppserviceLoginUnsupported, error)
}

impl Call<'_> {
    fn service(&self) -> Result<&ApplicationService, Refusal> {
        let Some(token) = self.token() else {
            let error = "an application service needs its token";
            return Err(Refusal::new(401, ErrorCode::MissingToken, error));
        };
        let error = "no application service has this token";
        let found = self.home.service(token);
        found.ok_or_else(|| Refusal::unknown_token(error, false))
    }

    /// Registers a user of an application service. Nobody is asked anything, and there is no password.
    pub(super) fn register_by_service(
        &self,
        cx: &mut StepContext<'_>,
        asked: &Register,
    ) -> Result<RegisterResponse, Fault> {
        let service = self.service()?;
        let Some(username) = &asked.username else {
            return Err(Refusal::missing("username").into());
        };
        let wish = Wish::new(
            asked.device_id.as_deref(),
            asked.initial_device_display_name.as_deref(),
            asked.refresh_token,
        )?;
        let inhibit_login = asked.inhibit_login.unwrap_or(false);
        if !inhibit_login && self.home.refuses_login(service) {
            return Err(no_login().into());
        }
        let localpart = names::service_localpart(&self.home.config, service, username)?;
        if login::account(self.tx, &localpart)?.is_some() {
            let error = "this username is taken; choose another";
            return Err(Refusal::new(400, ErrorCode::UserInUse, error).into());
        }
        let account = Account {
            localpart: Some(&localpart),
            ..Account::default()
        };
        let user = account.insert(self.tx, cx.now)?;
        let wanted = Wanted {
            device_id: wish.device_id.map(str::to_owned),
            display_name: wish.display_name.map(str::to_owned),
            inhibit_login: Some(inhibit_login),
            refresh_token: asked.refresh_token,
            ..Wanted::default()
        };
        self.home.welcome(cx, self.tx, user, &wanted)
    }

    /// Whom an application service signs in as.
    pub(super) fn login_by_service(&self, user: Option<&str>) -> Result<(i64, String), Fault> {
        let service = self.service()?;
        if self.home.refuses_login(service) {
            return Err(no_login().into());
        }
        let localpart = user.and_then(|it| names::existing_localpart(&self.home.config, it));
        let Some(localpart) = localpart.filter(|it| service.owns(it)) else {
            return Err(not_its_own().into());
        };
        match login::account(self.tx, &localpart)? {
            Some(account) if account.is_deactivated => Err(login::deactivated().into()),
            Some(account) => Ok((account.id, localpart)),
            None => Err(unregistered().into()),
        }
    }

    /// Whom an application service acts as: itself, or the user that the request names.
    pub(super) fn bearer_of_service(
        &self,
        now: Timestamp,
        service: &ApplicationService,
    ) -> Result<Bearer, Fault> {
        let localpart = match self.request.query("user_id") {
            None => service.sender.clone(),
            Some(user) => {
                let localpart = names::existing_localpart(&self.home.config, user);
                let own = localpart.filter(|it| service.owns(it));
                own.ok_or_else(not_its_own)?
            }
        };
        if localpart == service.sender && login::account(self.tx, &localpart)?.is_none() {
            let account = Account {
                localpart: Some(&localpart),
                ..Account::default()
            };
            account.insert(self.tx, now)?;
        }
        let known = match login::account(self.tx, &localpart)? {
            Some(account) if account.is_deactivated => return Err(login::deactivated().into()),
            Some(account) => account,
            None => return Err(unregistered().into()),
        };
        let device = self.request.query("device_id").map(str::to_owned);
        if let Some(device) = &device
            && !self.has_device(known.id, device)?
        {
            let error = "the user has no such device";
            return Err(Refusal::new(400, ErrorCode::UnknownDevice, error).into());
        }
        Ok(Bearer::of_service(known, device))
    }
}

fn not_its_own() -> Refusal {
    let error = "this is no user of the application service";
    Refusal::new(403, ErrorCode::Forbidden, error)
}

fn unregistered() -> Refusal {
    let error = "the application service has not registered this user";
    Refusal::new(403, ErrorCode::Forbidden, error)
}
