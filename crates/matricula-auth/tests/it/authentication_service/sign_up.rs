//! Signing up on the page of the service, if that is open.

use matricula_auth::{
    AuthError, AuthMethod, Discovery, OAuthLoginError, RegistrationOptions, ServerInfo, SignUp,
};
use serde_json::{Value, json};

use super::{CLIENTS, CLOSED, discover, fails_unreachable, sign_up};
use crate::{
    oauth_helpers::{is_kept, login, server_metadata},
    scripted_server::ScriptedServer,
};

#[test]
fn closed_sign_up_opens_no_page() {
    let create = || json!(["login", "create"]);
    let own = |prompts: Value| (200, own_metadata("https://account.example.org/", prompts));
    let table = [
        // The homeserver's copy, the service's own metadata, and whether people can sign up.
        (json!(["login"]), (404, json!({})), false),
        (json!(["login"]), own(json!(["login"])), false),
        (json!(["none", "login"]), (500, json!({})), false),
        // The homeserver's copy is old.
        (create(), own(json!(["login"])), false),
        (create(), own(json!(["none", "login", "consent"])), false),
        (json!(["login"]), own(create()), true),
        (create(), own(create()), true),
        // The service does not list what its page can start with.
        (Value::Null, own(Value::Null), true),
        (json!([]), own(json!([])), true),
        (Value::Null, own(json!(["login"])), false),
        (create(), own(Value::Null), true),
        (create(), own(json!("login")), true),
        // It is another's.
        (
            create(),
            (
                200,
                own_metadata("https://other.example.org/", json!(["login"])),
            ),
            true,
        ),
        (create(), (200, json!("<html>")), true),
        (create(), (404, json!({})), true),
        (create(), (502, json!({})), true),
    ];
    for (copy, (status, own), is_open) in table {
        let mut metadata = server_metadata();
        metadata["prompt_values_supported"] = copy.clone();
        let mut server = ScriptedServer::start(sign_up());
        server.respond(200, &metadata);
        assert_eq!(
            server.requests.last().unwrap(),
            "GET /.well-known/openid-configuration"
        );
        server.respond(status, &own);
        if is_open {
            assert_eq!(server.requests.last().unwrap(), CLIENTS, "{copy} {own}");
            continue;
        }
        let AuthError::OAuth(OAuthLoginError::SignUpClosed { issuer }) = server.error() else {
            panic!("{copy} {own}: {}", server.error())
        };
        assert_eq!(issuer, "https://account.example.org/");
        assert!(server.error().to_string().contains("; sign in if you"));
        assert!(!is_kept(&server));
        // People who have an account can sign in.
        let mut server = ScriptedServer::start(login());
        server.respond(200, &metadata);
        assert_eq!(server.requests.last().unwrap(), CLIENTS);
    }
    let mut server = ScriptedServer::start(sign_up());
    server.respond(200, &server_metadata());
    fails_unreachable(&mut server);
    assert_eq!(server.requests.last().unwrap(), CLIENTS);
}

fn own_metadata(issuer: &str, prompts: Value) -> Value {
    json!({ "issuer": issuer, "prompt_values_supported": prompts })
}

/// A server that delegates accounts, and whose service lists these prompts.
fn delegating(prompts: &Value) -> ServerInfo {
    let mut metadata = server_metadata();
    metadata["prompt_values_supported"] = prompts.clone();
    discover((200, &metadata.to_string()), CLOSED)
}

#[test]
fn closed_service_is_no_way_to_register() {
    let closed = delegating(&json!(["login"]));
    assert_eq!(closed.registration_methods(), []);
    let server = ScriptedServer::start(SignUp::new(&closed, RegistrationOptions::default()));
    let AuthError::OAuth(OAuthLoginError::SignUpClosed { .. }) = server.error() else {
        panic!("{}", server.error())
    };
    assert!(server.requests.is_empty());
    for open in [json!(["create"]), json!([]), Value::Null] {
        assert_eq!(delegating(&open).registration_methods().len(), 1, "{open}");
    }
}

#[test]
fn flows_of_the_service_lead_to_its_page() {
    let flows = json!({ "flows": [
        { "type": "m.login.password" },
        { "type": "m.login.sso", "oauth_aware_preferred": true,
          "org.matrix.msc3824.delegated_oidc_compatibility": true },
        { "type": "m.login.token" },
    ]});
    let mut early = flows.clone();
    early["flows"][1]
        .as_object_mut()
        .unwrap()
        .remove("oauth_aware_preferred");
    for flows in [flows, early] {
        let discovery = Discovery::new("https://matrix.example.org".parse().unwrap());
        let mut server = ScriptedServer::start(discovery.registration(true));
        server
            .respond_path("/versions", 200, r#"{"versions":["v1.15"]}"#)
            .respond_path("/login", 200, &flows.to_string())
            .respond_path("/auth_metadata", 200, &server_metadata().to_string());
        let info = server.ok();
        assert_eq!(info.sign_up_method().0, AuthMethod::OAuth);
        assert_eq!(info.login_method().0, AuthMethod::OAuth);
        assert_eq!(info.registration_methods().len(), 1, "one page, not two");
    }
}
