//! What clients ask before they log in: versions, `.well-known`, login flows; and at their start:
//! capabilities, third-party networks.

use matricula_api::{
    SortedMap,
    client::{
        capabilities::{
            AccountModerationCapability, BooleanCapability, Capabilities, GetCapabilities,
            GetCapabilitiesResponse, ProfileFieldsCapability, RoomVersionStability,
            RoomVersionsCapability,
        },
        definitions::{HomeserverInformation, Wellknown},
        login::{GetLoginFlows, GetLoginFlowsResponse, LoginFlow},
        third_party_lookup::GetThirdPartyProtocols,
        versions::{GetVersions, GetVersionsResponse},
        wellknown::GetWellknown,
    },
    common::Protocol,
    uia::Stage,
};
use matricula_core::StepContext;
use matricula_rules::RoomVersion;

use super::{
    auth::{sso, uia::APPLICATION_SERVICE},
    context::RequestContext,
    error::HandlerError,
    handler::Handler,
};

/// The versions of the specification that the server supports, as far as it serves their endpoints.
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
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<Wellknown, HandlerError> {
        Ok(Wellknown::new(HomeserverInformation::new(context.url(""))))
    }
}

impl Handler for GetLoginFlows {
    fn handle(
        self,
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<GetLoginFlowsResponse, HandlerError> {
        let mut flows = vec![LoginFlow::new(Stage::Password.as_str())];
        flows.extend(sso::login_flows(context.config));
        if !context.config.application_services.is_empty() {
            flows.push(LoginFlow::new(APPLICATION_SERVICE));
        }
        Ok(GetLoginFlowsResponse::default().flows(flows))
    }
}

/// The capabilities, and those that clients would assume if the server did not deny them.
impl Handler for GetCapabilities {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetCapabilitiesResponse, HandlerError> {
        let requester = context.authenticate(cx.now)?;
        let config = context.config;
        let yes = || BooleanCapability::new(true);
        let no = || BooleanCapability::new(false);
        let has_passwords = !config.is_oauth_only();
        let mut capabilities = Capabilities::default()
            .change_password(BooleanCapability::new(has_passwords))
            .set_displayname(yes())
            .set_avatar_url(yes())
            .profile_fields(ProfileFieldsCapability::new(true))
            .room_versions(room_versions())
            .three_pid_changes(BooleanCapability::new(
                has_passwords && config.mail.is_some(),
            ))
            .get_login_token(no())
            .forget_forced_upon_leave(no());
        if requester.is_admin {
            let moderation = AccountModerationCapability::default();
            capabilities = capabilities.account_moderation(moderation.lock(true).suspend(true));
        }
        Ok(GetCapabilitiesResponse::new(capabilities))
    }
}

/// There are no bridges to other networks.
impl Handler for GetThirdPartyProtocols {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SortedMap<String, Protocol>, HandlerError> {
        context.authenticate_user(cx.now)?;
        Ok(SortedMap::default())
    }
}

fn room_versions() -> RoomVersionsCapability {
    let stable = |version: RoomVersion| (version.as_str().to_owned(), RoomVersionStability::Stable);
    let available = RoomVersion::ALL.into_iter().map(stable);
    RoomVersionsCapability::new(RoomVersion::default().as_str(), available.collect())
}
