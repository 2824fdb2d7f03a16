//! A server that fails may have acted before. What it did is found out; nothing is given up or done twice.

use matricula_api::client::device_management::DeleteDevices;
use matricula_auth::{
    AccountError, AddThreepid, Answer, AppserviceError, AppserviceRegistration, AuthError,
    Deactivation, PasswordChange, RegisterError, Registration, RegistrationOptions, ServerError,
    Threepid, UiaError, UiaRequest,
};
use serde_json::json;

use crate::{
    helpers::{
        account, dummy_flow, one_flow, password_flow, refused, register, reload, server_info,
        success,
    },
    scripted_server::ScriptedServer,
};

/// Responses of servers that may have processed the request, as Synapse does (synapse#13363).
const FAILURES: [(u16, &str); 14] = [
    (
        500,
        r#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#,
    ),
    (500, r#"{"errcode":"M_UNKNOWN"}"#),
    (500, r#"{"errcode":"M_FORBIDDEN","error":"no"}"#),
    (500, r#"{"errcode":"M_USER_IN_USE","error":"taken"}"#),
    (
        500,
        r#"{"errcode":"ORG.EXAMPLE.DATABASE","error":{"is":"odd"}}"#,
    ),
    (500, "<html>500 Internal Server Error</html>"),
    (502, r#"{"errcode":"M_UNKNOWN","error":"worker gone"}"#),
    (503, r#"{"errcode":"M_UNKNOWN","error":"database locked"}"#),
    (504, ""),
    (507, r#"{"errcode":"M_TOO_LARGE"}"#),
    (507, "<html>507 Insufficient Storage</html>"),
    (530, "error code: 1016"),
    (598, ""),
    (599, r#"{"errcode":"M_UNKNOWN"}"#),
];

/// Nothing happened: the server says so, or cannot have done it.
const REFUSALS: [(u16, &str); 5] = [
    (400, r#"{"errcode":"M_UNKNOWN","error":"no"}"#),
    (500, r#"{"errcode":"M_UNRECOGNIZED","error":"no"}"#),
    (501, r#"{"errcode":"M_UNKNOWN","error":"no"}"#),
    (505, "<html>"),
    (511, "<html>"),
];

const REGISTER: &str = "POST /_matrix/client/v3/register";
const LOGIN: &str = "POST /_matrix/client/v3/login";

/// A registration with a generated password, up to its last request.
fn last_request() -> ScriptedServer<Registration> {
    let mut server = register(RegistrationOptions {
        username: Some("alice".into()),
        ..RegistrationOptions::default()
    });
    server
        .respond(200, &json!({ "available": true }))
        .respond(401, &dummy_flow());
    server
}

#[test]
fn account_is_found_in_the_session() {
    for (status, body) in FAILURES {
        let mut server = last_request();
        let before = server.body();
        server.respond_text(status, body);
        assert_eq!(server.requests.last().unwrap(), REGISTER);
        assert_eq!(server.body(), before, "{status} {body}");
        server.respond(200, &success());
        let password = server.ok().password.as_ref().unwrap().expose();
        assert_eq!(before["password"], password, "{status} {body}");
    }
}

#[test]
fn account_is_found_by_signing_in() {
    for (status, body) in FAILURES {
        for (refusal, code) in [(400, "M_USER_IN_USE"), (400, "M_UNKNOWN")] {
            let mut server = last_request();
            let password = server.body()["password"].clone();
            server
                .respond_text(status, body)
                .respond(refusal, &refused(code));
            assert_eq!(server.requests.last().unwrap(), LOGIN, "{status} {body}");
            assert_eq!(server.body()["password"], password);
            server.respond(200, &success());
            let stored = server.ok().password.as_ref().unwrap().expose();
            assert_eq!(password, stored, "{status} {body}");
        }
    }
}

/// The first request makes an account if the server wants no authentication.
#[test]
fn account_without_authentication_is_found() {
    for (status, body) in FAILURES {
        let mut server = register(RegistrationOptions {
            username: Some("alice".into()),
            ..RegistrationOptions::default()
        });
        server
            .respond(200, &json!({}))
            .respond_text(status, body)
            .respond(400, &refused("M_USER_IN_USE"));
        assert_eq!(server.requests.last().unwrap(), LOGIN, "{status} {body}");
        server.respond(200, &success());
        assert!(server.ok().password.is_some(), "{status} {body}");
    }
}

/// The password is not given up while the account may exist, and the next run asks again.
#[test]
fn doubt_keeps_the_password() {
    for (status, body) in FAILURES {
        let mut server = last_request();
        let password = server.body()["password"].clone();
        server
            .respond_text(status, body)
            .respond_text(status, body)
            .respond(403, &refused("M_FORBIDDEN"));
        assert_eq!(server.requests.last().unwrap(), LOGIN);
        assert!(
            matches!(
                server.error(),
                AuthError::Register(RegisterError::InDoubt { .. })
            ),
            "{status} {body}: {}",
            server.error()
        );
        let next = || {
            let next = ScriptedServer::start(reload(&server));
            assert_eq!(next.requests, [REGISTER], "{status} {body}");
            assert_eq!(next.body()["password"], password);
            assert_eq!(next.body()["auth"]["session"], "s1");
            next
        };
        let mut done = next();
        done.respond(200, &success());
        assert_eq!(password, done.ok().password.as_ref().unwrap().expose());

        // The server has forgotten the session: a new one, with the same password.
        for forgotten in [
            (400, refused("M_UNKNOWN")),
            (401, {
                let mut other = dummy_flow();
                other["session"] = json!("s2");
                other
            }),
        ] {
            let mut new = next();
            new.respond(forgotten.0, &forgotten.1);
            if forgotten.0 == 400 {
                assert_eq!(new.body()["auth"], json!(null));
                new.respond(401, &dummy_flow());
            }
            assert_eq!(new.body()["auth"]["type"], "m.login.dummy");
            assert_eq!(new.body()["password"], password);
            new.respond(200, &success());
            new.ok();
        }

        // The account was made late: it is found by signing in.
        let mut late = next();
        late.respond(400, &refused("M_USER_IN_USE"));
        assert_eq!(late.requests.last().unwrap(), LOGIN);
        late.respond(200, &success());
        assert_eq!(password, late.ok().password.as_ref().unwrap().expose());
    }
}

#[test]
fn refusal_ends_the_registration() {
    for (status, body) in REFUSALS {
        let mut server = last_request();
        server.respond_text(status, body);
        assert!(server.result.is_some(), "{status} {body}");
        let error = server.error();
        assert!(
            !matches!(error, AuthError::Register(RegisterError::InDoubt { .. })),
            "{status} {body}: {error}"
        );
    }
}

/// A server that fails says nothing about the code of a message: it is not called wrong.
#[test]
fn failure_is_not_blamed_on_the_code() {
    for (status, body) in FAILURES {
        let mut server = register(RegistrationOptions {
            username: Some("alice".into()),
            phone: Some("GB:07700900001".parse().unwrap()),
            ..RegistrationOptions::default()
        });
        server
            .respond(200, &json!({}))
            .respond(401, &one_flow(&["m.login.msisdn"]))
            .respond(
                200,
                &json!({ "sid": "1", "submit_url": "https://matrix.example.org/submit" }),
            )
            .answer(Answer::Text("123456".into()));
        assert_eq!(server.requests.last().unwrap(), "POST /submit");
        server.respond_text(status, body);
        assert!(
            matches!(
                server.error(),
                AuthError::Server(ServerError::Unavailable { .. })
            ),
            "{status} {body}: {}",
            server.error()
        );
        let next = ScriptedServer::start(reload(&server));
        assert!(next.requests.len() == 1 || next.is_asking(), "it goes on");

        let phone = Threepid::Phone("GB:07700900001".parse().unwrap());
        let mut server = ScriptedServer::start(AddThreepid::new(&account(Some("old")), phone));
        server
            .respond(
                200,
                &json!({ "sid": "1", "submit_url": "https://matrix.example.org/submit" }),
            )
            .answer(Answer::Text("123456".into()))
            .respond_text(status, body);
        assert!(
            matches!(
                server.error(),
                AuthError::Server(ServerError::Unavailable { .. })
            ),
            "{status} {body}: {}",
            server.error()
        );
    }
}

/// A failure is not called a refusal, wherever it shows.
#[test]
fn failure_is_not_called_a_refusal() {
    for (status, body) in FAILURES {
        let mut server = register(RegistrationOptions {
            username: Some("alice".into()),
            email: Some("alice@example.org".into()),
            ..RegistrationOptions::default()
        });
        server
            .respond(200, &json!({}))
            .respond(401, &one_flow(&["m.login.email.identity"]))
            .respond_text(status, body);
        let message = server.error().to_string();
        let address = Threepid::Email("alice@example.org".into());
        let mut server = ScriptedServer::start(AddThreepid::new(&account(Some("old")), address));
        server.respond_text(status, body);
        for error in [message, server.error().to_string()] {
            assert!(
                error.contains("is in trouble (") && error.ends_with("; try again later"),
                "{status} {body}: {error}"
            );
        }
    }
}

#[test]
fn service_user_is_found() {
    for (status, body) in FAILURES {
        let user = || {
            let token = "as-token".into();
            let mut server =
                ScriptedServer::start(AppserviceRegistration::new(&server_info(), token, "_b_a"));
            server.respond_text(status, body);
            assert_eq!(server.requests, [REGISTER, REGISTER], "{status} {body}");
            server
        };
        let mut server = user();
        server
            .respond(400, &refused("M_USER_IN_USE"))
            .respond(200, &success());
        server.ok();
        let mut server = user();
        server.respond_text(status, body);
        assert!(
            matches!(
                server.error(),
                AuthError::Appservice(AppserviceError::MayBeDone { .. })
            ),
            "{status} {body}: {}",
            server.error()
        );
    }
}

/// With the authentication, and without it where the server wants none.
#[test]
fn changes_of_an_account_are_settled() {
    for (status, body) in FAILURES {
        for has_auth in [true, false] {
            let me = account(Some("old"));
            let what = format!("{status} {body} {has_auth}");

            let mut server = ScriptedServer::start(Deactivation::new(&me));
            if has_auth {
                server.respond(401, &password_flow());
            }
            server.respond_text(status, body);
            let last = server.requests.last().unwrap();
            assert_eq!(last, "GET /_matrix/client/v3/account/whoami", "{what}");

            let mut server = ScriptedServer::start(PasswordChange::generated(&me));
            let new = server.body()["new_password"].clone();
            if has_auth {
                server.respond(401, &password_flow());
            }
            server.respond_text(status, body);
            assert_eq!(server.body()["new_password"], new, "{what}: the same again");
            server.respond_text(status, body);
            assert!(
                matches!(
                    server.error(),
                    AuthError::Account(AccountError::PasswordInDoubt { .. })
                ),
                "{what}: {}",
                server.error()
            );

            let address = Threepid::Email("alice@example.org".into());
            let mut server = ScriptedServer::start(AddThreepid::new(&me, address));
            server
                .respond(200, &json!({ "sid": "sid1" }))
                .answer(Answer::Yes);
            if has_auth {
                server.respond(401, &password_flow());
            }
            server.respond_text(status, body);
            let last = server.requests.last().unwrap();
            assert_eq!(last, "GET /_matrix/client/v3/account/3pid", "{what}");

            let request = DeleteDevices::new(vec!["A".into()]);
            let mut server = ScriptedServer::start(UiaRequest::new(&me, request));
            if has_auth {
                server.respond(401, &password_flow());
            }
            server.respond_text(status, body);
            assert!(
                matches!(server.error(), AuthError::Uia(UiaError::MayBeDone { .. })),
                "{what}: {}",
                server.error()
            );
        }
    }
}
