//! [Application services](https://spec.matrix.org/v1.19/application-service-api/): programs that
//! register users of their own and act as them.

use matricula_api::{
    ErrorCode,
    client::registration::{Register, RegisterResponse},
};
use matricula_core::{Secret, StepContext, Timestamp};

use super::{
    Homeserver, login, names,
    refusal::{ApiError, HandlerError},
    register::NewUser,
    routes::RequestContext,
    tokens::{DeviceParams, Requester},
    uia::RegistrationParams,
};
use crate::ApplicationService;

pub(super) const SERVICE: &str = "m.login.application_service";

impl Homeserver {
    /// Whose token this is.
    pub(super) fn find_service(&self, token: &str) -> Option<&ApplicationService> {
        let token = Secret::from(token);
        let mut services = self.config.application_services.iter();
        services.find(|it| it.token == token)
    }

    /// Whether a service that signs in here would have a token of which it does not know what to do.
    fn refuses_login(&self, service: &ApplicationService) -> bool {
        service.manages_devices || self.config.is_oauth_only()
    }
}

fn no_login() -> ApiError {
    let error = "an application service does not sign in here; register with inhibit_login, and \
                 act as the user";
    ApiError::new(400, ErrorCode::AppserviceLoginUnsupported, error)
}

impl RequestContext<'_> {
    fn require_service(&self) -> Result<&ApplicationService, ApiError> {
        let Some(token) = self.token() else {
            let error = "an application service needs its token";
            return Err(ApiError::new(401, ErrorCode::MissingToken, error));
        };
        let error = "no application service has this token";
        let found = self.homeserver.find_service(token);
        found.ok_or_else(|| ApiError::unknown_token(error, false))
    }

    /// Registers a user of an application service. Nobody is asked anything, and there is no password.
    pub(super) fn register_by_service(
        &self,
        cx: &mut StepContext<'_>,
        asked: &Register,
    ) -> Result<RegisterResponse, HandlerError> {
        let service = self.require_service()?;
        let Some(username) = &asked.username else {
            return Err(ApiError::missing_param("username").into());
        };
        let wish = DeviceParams::new(
            asked.device_id.as_deref(),
            asked.initial_device_display_name.as_deref(),
            asked.refresh_token,
        )?;
        let inhibit_login = asked.inhibit_login.unwrap_or(false);
        if !inhibit_login && self.homeserver.refuses_login(service) {
            return Err(no_login().into());
        }
        let localpart = names::service_localpart(&self.homeserver.config, service, username)?;
        if login::find_user(self.tx, &localpart)?.is_some() {
            let error = "this username is taken; choose another";
            return Err(ApiError::new(400, ErrorCode::UserInUse, error).into());
        }
        let account = NewUser {
            localpart: Some(&localpart),
            ..NewUser::default()
        };
        let user = account.insert(self.tx, cx.now)?;
        let wanted = RegistrationParams {
            device_id: wish.device_id.map(str::to_owned),
            display_name: wish.display_name.map(str::to_owned),
            inhibit_login: Some(inhibit_login),
            refresh_token: asked.refresh_token,
            ..RegistrationParams::default()
        };
        self.homeserver
            .registration_response(cx, self.tx, user, &wanted)
    }

    /// Whom an application service signs in as.
    pub(super) fn login_by_service(
        &self,
        user: Option<&str>,
    ) -> Result<(i64, String), HandlerError> {
        let service = self.require_service()?;
        if self.homeserver.refuses_login(service) {
            return Err(no_login().into());
        }
        let localpart = user.and_then(|it| names::existing_localpart(&self.homeserver.config, it));
        let Some(localpart) = localpart.filter(|it| service.owns(it)) else {
            return Err(not_owned().into());
        };
        match login::find_user(self.tx, &localpart)? {
            Some(account) if account.is_deactivated => Err(login::deactivated().into()),
            Some(account) => Ok((account.id, localpart)),
            None => Err(unregistered().into()),
        }
    }

    /// Whom an application service acts as: itself, or the user that the request names.
    pub(super) fn requester_of_service(
        &self,
        now: Timestamp,
        service: &ApplicationService,
    ) -> Result<Requester, HandlerError> {
        let localpart = match self.request.query("user_id") {
            None => service.sender.clone(),
            Some(user) => {
                let localpart = names::existing_localpart(&self.homeserver.config, user);
                let own = localpart.filter(|it| service.owns(it));
                own.ok_or_else(not_owned)?
            }
        };
        if localpart == service.sender && login::find_user(self.tx, &localpart)?.is_none() {
            let account = NewUser {
                localpart: Some(&localpart),
                ..NewUser::default()
            };
            account.insert(self.tx, now)?;
        }
        let known = match login::find_user(self.tx, &localpart)? {
            Some(account) if account.is_deactivated => return Err(login::deactivated().into()),
            Some(account) => account,
            None => return Err(unregistered().into()),
        };
        let device = self.request.query("device_id").map(str::to_owned);
        if let Some(device) = &device
            && !self.has_device(known.id, device)?
        {
            let error = "the user has no such device";
            return Err(ApiError::new(400, ErrorCode::UnknownDevice, error).into());
        }
        Ok(Requester::of_service(known, device))
    }
}

fn not_owned() -> ApiError {
    let error = "this is no user of the application service";
    ApiError::new(403, ErrorCode::Forbidden, error)
}

fn unregistered() -> ApiError {
    let error = "the application service has not registered this user";
    ApiError::new(403, ErrorCode::Forbidden, error)
}
