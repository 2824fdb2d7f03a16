//! The account afterwards: its pages, and the users of application services.

use matricula_api::oauth::{AccountAction, AccountPage};
use matricula_auth::{AppserviceError, AppserviceLogin, AuthError, OAuthSession};
use serde_json::{Value, json};

use super::registered;
use crate::{
    helpers::server_info,
    oauth_helpers::{come_back, login, server_metadata, tokens, whoami},
    scripted_server::ScriptedServer,
};

#[test]
fn account_pages_have_listed_actions_only() {
    use AccountAction as Action;
    let base = "https://account.example.org/account";
    let session = |actions: Option<Value>| -> OAuthSession {
        let mut session = json!({
            "issuer": "https://account.example.org/", "client_id": "c1",
            "token_endpoint": "https://account.example.org/token",
            "revocation_endpoint": "https://account.example.org/revoke",
            "account_management_uri": base,
        });
        if let Some(actions) = actions {
            session["account_actions"] = actions;
        }
        serde_json::from_value(session).unwrap()
    };
    let new = ["profile", "devices_list", "device_view", "device_delete"];
    let new = json!(new.map(|name| format!("org.matrix.{name}")));
    let old = ["profile", "sessions_list", "session_view", "session_end"];
    let old = json!(old.map(|name| format!("org.matrix.{name}")));
    for (listed, action, query) in [
        (
            Some(new.clone()),
            Action::DeviceDelete,
            "?action=org.matrix.device_delete&device_id=D",
        ),
        (
            Some(new.clone()),
            Action::DevicesList,
            "?action=org.matrix.devices_list&device_id=D",
        ),
        (Some(new.clone()), Action::AccountDeactivate, ""),
        (Some(new), Action::CrossSigningReset, ""),
        (
            Some(old.clone()),
            Action::DeviceDelete,
            "?action=org.matrix.session_end&device_id=D",
        ),
        (
            Some(old.clone()),
            Action::DeviceView,
            "?action=org.matrix.session_view&device_id=D",
        ),
        (Some(old), Action::AccountDeactivate, ""),
        (Some(json!([])), Action::Profile, ""),
        // A session that is older than the list.
        (
            None,
            Action::AccountDeactivate,
            "?action=org.matrix.account_deactivate&device_id=D",
        ),
    ] {
        let page = AccountPage::default().action(action.clone()).device_id("D");
        let url = session(listed).account_page(&page);
        assert_eq!(
            url.as_deref(),
            Some(&*format!("{base}{query}")),
            "{action:?}"
        );
    }
    // A login stores what the service lists.
    let mut metadata = server_metadata();
    metadata["account_management_actions_supported"] = json!(["org.matrix.profile"]);
    let mut server = ScriptedServer::start(login());
    server
        .respond(200, &metadata)
        .respond(201, &registered("c1"));
    come_back(&mut server, "code=xyz");
    server.respond(200, &tokens()).respond(200, &whoami());
    let oauth = server.ok().oauth.clone().unwrap();
    assert_eq!(
        oauth.account_actions,
        Some(vec!["org.matrix.profile".to_owned()])
    );
}

#[test]
fn services_act_with_their_own_token() {
    let info = |flows: &[&str]| {
        let mut info = server_info();
        let flows: Vec<Value> = flows.iter().map(|kind| flow(kind)).collect();
        info.login_flows = serde_json::from_value(json!(flows)).unwrap();
        info
    };
    let compat = ["m.login.password", "m.login.sso", "m.login.token"];
    let service = "m.login.application_service";
    let invalid = "Invalid login type";
    for (flows, status, body, has_none) in [
        (
            &compat[..],
            404,
            error("M_UNRECOGNIZED", "Unrecognized request"),
            true,
        ),
        (&compat[..], 400, error("M_UNRECOGNIZED", invalid), true),
        (&compat[..], 400, error("M_UNKNOWN", invalid), true),
        (&compat[..], 400, error("M_INVALID_PARAM", invalid), true),
        (&[], 404, error("M_UNRECOGNIZED", "no"), true),
        (&[], 405, json!("Method not allowed"), true),
        (&[service], 404, error("M_UNRECOGNIZED", "no"), true),
        (&[service], 400, error("M_UNKNOWN", "Something else"), false),
        (&compat[..], 403, error("M_FORBIDDEN", "no"), false),
        (&compat[..], 401, error("M_UNKNOWN_TOKEN", "no"), false),
        (&compat[..], 400, error("M_EXCLUSIVE", "no"), false),
        (&compat[..], 500, error("M_UNKNOWN", "oh"), false),
    ] {
        let login = AppserviceLogin::new(&info(flows), "as-token".into(), "_bridge_alice");
        let mut server = ScriptedServer::start(login);
        server.respond(status, &body);
        let none = matches!(
            server.error(),
            AuthError::Appservice(AppserviceError::NoServiceLogin { .. })
        );
        assert_eq!(none, has_none, "{status} {body}: {}", server.error());
        if none {
            let words = server.error().to_string();
            assert!(
                words.ends_with("act as them with the token of the service"),
                "{words}"
            );
        }
    }
}

fn flow(kind: &str) -> Value {
    json!({ "type": kind, "oauth_aware_preferred": false })
}

fn error(code: &str, message: &str) -> Value {
    json!({ "errcode": code, "error": message })
}
