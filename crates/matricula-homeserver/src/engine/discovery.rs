//! What a client may know before it has an account.

use matricula_api::{
    client::{
        capabilities::{
            AccountModerationCapability, BooleanCapability, Capabilities, GetCapabilities,
            GetCapabilitiesResponse, ProfileFieldsCapability, RoomVersionStability,
            RoomVersionsCapability,
        },
        definitions::{HomeserverInformation, Wellknown},
        login::{GetLoginFlows, GetLoginFlowsResponse, LoginFlow},
        versions::{GetVersions, GetVersionsResponse},
        wellknown::GetWellknown,
    },
    uia::Stage,
};
use matricula_core::StepContext;

use super::{
    appservice::SERVICE,
    refusal::HandlerError,
    rooms::ROOM_VERSION,
    routes::{Handler, RequestContext},
};

/// The versions of the specification whose account endpoints this server keeps to.
const VERSIONS: [&str; 19] = [
    "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11",
    "v1.12", "v1.13", "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

impl Handler for GetVersions {
    fn handle(
        self,
        _: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<GetVersionsResponse, HandlerError> {
        let versions = VERSIONS.map(str::to_owned).to_vec();
        Ok(GetVersionsResponse::new(versions).unstable_features(Default::default()))
    }
}

impl Handler for GetWellknown {
    fn handle(
        self,
        call: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<Wellknown, HandlerError> {
        let homeserver = HomeserverInformation::new(call.homeserver.base_url.as_str());
        Ok(Wellknown::new(homeserver))
    }
}

impl Handler for GetLoginFlows {
    fn handle(
        self,
        call: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<GetLoginFlowsResponse, HandlerError> {
        let mut flows = vec![LoginFlow::new(Stage::Password.as_str())];
        flows.extend(call.homeserver.sso_flows());
        if !call.homeserver.config.application_services.is_empty() {
            flows.push(LoginFlow::new(SERVICE));
        }
        Ok(GetLoginFlowsResponse::default().flows(flows))
    }
}

/// What this server can do, and what it cannot and a client would otherwise take for possible.
impl Handler for GetCapabilities {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetCapabilitiesResponse, HandlerError> {
        let bearer = call.authenticate(cx.now)?;
        let yes = || BooleanCapability::new(true);
        let no = || BooleanCapability::new(false);
        let has_messages = call.homeserver.config.mail.is_some();
        let has_passwords = !call.homeserver.config.is_oauth_only();
        let capabilities = Capabilities::default()
            .change_password(BooleanCapability::new(has_passwords))
            .set_displayname(yes())
            .set_avatar_url(yes())
            .profile_fields(ProfileFieldsCapability::new(true))
            .room_versions(room_versions())
            .three_pid_changes(BooleanCapability::new(has_passwords && has_messages))
            .get_login_token(no());
        // Nobody else can do it.
        let capabilities = match call.homeserver.is_admin(&bearer) {
            true => capabilities.account_moderation(
                AccountModerationCapability::default()
                    .lock(true)
                    .suspend(true),
            ),
            false => capabilities,
        };
        Ok(GetCapabilitiesResponse::new(capabilities))
    }
}

fn room_versions() -> RoomVersionsCapability {
    let stable = (ROOM_VERSION.to_owned(), RoomVersionStability::Stable);
    RoomVersionsCapability::new(ROOM_VERSION, [stable].into_iter().collect())
}
