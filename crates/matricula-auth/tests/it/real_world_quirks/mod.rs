//! Homeservers whose responses have other shapes than Synapse's.
//!
//! The shapes are data, which the tests of the command read, too. An answer is for the first line that
//! fits: method, path, the stage that is done (with its token), status, body.

use matricula_auth::{
    Answer, AuthError, Conversation, Discovery, Login, LoginError, Prompt, RegisterError,
    Registration, RegistrationOffer, RegistrationOptions, ServerInfo,
};
use matricula_core::Job;
use serde_json::{Value, json};

use crate::{
    helpers::{alice, register, server_info},
    scripted_server::ScriptedServer,
};

const SHAPES: &str = include_str!("shapes.json");

struct Shape(Value);

impl Shape {
    fn all() -> Vec<Self> {
        let shapes: Vec<Value> = serde_json::from_str(SHAPES).unwrap();
        shapes.into_iter().map(Self).collect()
    }

    fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    fn answer(&self, job: &Job) -> (u16, String) {
        let body: Value = serde_json::from_slice(job.request_body().as_bytes()).unwrap_or_default();
        let auth = &body["auth"];
        let stage = format!(
            "{} {}",
            auth["type"].as_str().unwrap_or_default(),
            auth["token"].as_str().unwrap_or_default()
        );
        let path = job.url().splitn(4, '/').nth(3).unwrap_or_default();
        let lines = self.0["answers"].as_array().unwrap();
        let line = lines.iter().find(|line| {
            let fits = |at: usize, text: &str| line[at] == "*" || line[at] == text;
            fits(0, job.request_method().as_str())
                && fits(1, &format!("/{path}"))
                && stage.starts_with(line[2].as_str().unwrap())
        });
        let line = line.unwrap_or_else(|| panic!("{}: no answer to {path}", self.name()));
        let body = match &line[4] {
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        (line[3].as_u64().unwrap() as u16, body)
    }

    /// Lets the conversation server to this server to its end.
    fn server<C: Conversation<Error: Into<AuthError>>>(
        &self,
        conversation: C,
    ) -> ScriptedServer<C> {
        let mut server = ScriptedServer::start(conversation);
        while server.result.is_none() {
            assert!(
                server.requests.len() < 20,
                "{}: {:?}",
                self.name(),
                server.requests
            );
            match server.is_asking() {
                true => {
                    server.answer(Answer::Unavailable);
                }
                false => {
                    let job = server.any_job().clone();
                    let (status, body) = self.answer(&job);
                    let path = job.url().splitn(4, '/').nth(3).unwrap().to_owned();
                    server.respond_path(&path, status, &body);
                }
            }
        }
        server
    }

    fn server_info(&self) -> ServerInfo {
        let address = "https://matrix.example.org".parse().unwrap();
        let discovery = Discovery::new(address)
            .registration(true)
            .password_policy(true);
        self.server(discovery).ok().clone()
    }
}

fn options() -> RegistrationOptions {
    RegistrationOptions {
        token: Some("right".into()),
        ..alice()
    }
}

#[test]
fn servers_are_discovered_with_methods() {
    for shape in Shape::all() {
        let server_info = shape.server_info();
        assert_eq!(server_info.oauth_issuer, None, "{}", shape.name());
        assert_eq!(
            server_info.login_flows[0].kind,
            "m.login.password",
            "{}",
            shape.name()
        );
        assert_eq!(server_info.password_policy, None, "{}", shape.name());
        match (&server_info.registration, shape.name()) {
            (Some(RegistrationOffer::Open(info)), _) => assert_eq!(info.flows.len(), 1),
            (Some(RegistrationOffer::Unknown { message }), "no authentication at all") => {
                assert!(message.contains("made an account"), "{message}");
            }
            (offer, name) => panic!("{name}: {offer:?}"),
        }
    }
}

#[test]
fn registration_takes_fewest_requests() {
    for shape in Shape::all() {
        let server = shape.server(Registration::new(&shape.server_info(), options()));
        let account = server.ok();
        assert_eq!(account.user_id.as_str(), "@a:b.test", "{}", shape.name());
        assert!(account.access_token.is_some(), "{}", shape.name());
        assert_eq!((&account.refresh_token, account.expires_at), (&None, None));
        let most = match shape.name() {
            "no authentication at all" => 2,
            _ => 3,
        };
        assert_eq!(
            server.requests.len(),
            most,
            "{}: {:?}",
            shape.name(),
            server.requests
        );
    }
}

#[test]
fn login_works_on_each() {
    for shape in Shape::all() {
        let login = Login::new(&shape.server_info(), "alice", "wordpass".into());
        let server = shape.server(login);
        let account = server.ok();
        let device = match shape.name() {
            "null for whatever is absent" => None,
            _ => Some("D2"),
        };
        assert_eq!(account.device_id.as_deref(), device, "{}", shape.name());
    }
}

#[test]
fn wrong_token_with_odd_status() {
    let shape = Shape::all().into_iter().nth(1).unwrap();
    let wrong = RegistrationOptions {
        token: Some("wrong".into()),
        ..RegistrationOptions::default()
    };
    let mut server = ScriptedServer::start(Registration::new(&shape.server_info(), wrong));
    for _ in 0..2 {
        let job = server.any_job().clone();
        let (status, body) = shape.answer(&job);
        server.respond_text(status, &body);
    }
    let Prompt::RegistrationToken { why } = server.question() else {
        panic!("{:?}", server.question());
    };
    assert_eq!(why.as_deref(), Some("Invalid registration token"));
    server.answer(Answer::Text("right".into()));
    let (status, body) = shape.answer(&server.any_job().clone());
    server.respond_text(status, &body);
    assert_eq!(server.ok().user_id.as_str(), "@a:b.test");
}

#[test]
fn closed_server_without_error_codes() {
    let mut server = register(RegistrationOptions::default());
    server.respond(403, &json!({ "error": "Registration is disabled" }));
    let AuthError::Register(RegisterError::Closed { message, .. }) = server.error() else {
        panic!("{}", server.error());
    };
    assert_eq!(message, "Registration is disabled");
}

#[test]
fn wrong_password_without_error_code() {
    for status in [401, 403] {
        let mut server = ScriptedServer::start(Login::new(&server_info(), "alice", "wrong".into()));
        server.respond(status, &json!({ "error": "Bad password" }));
        let AuthError::Login(LoginError::WrongPassword { message, .. }) = server.error() else {
            panic!("{}", server.error());
        };
        assert_eq!(message, "Bad password");
    }
}

/// Pages and empty bodies at every point: an error that names the server, never a success.
#[test]
fn non_matrix_responses_are_errors() {
    for body in [
        "",
        "<html><body>Bad gateway</body></html>",
        "null",
        "[]",
        "\"no\"",
    ] {
        for status in [200, 400, 403, 404, 500, 502] {
            let mut server = register(RegistrationOptions::default());
            server.respond_text(status, body);
            while server.result.is_none() && server.requests.len() < 10 {
                server.respond_text(status, body);
            }
            let error = server.error().to_string();
            assert!(
                error.starts_with("https://matrix.example.org "),
                "{status} {body}: {error}"
            );
            assert!(!error.contains("<html>"), "{error}");
            let mut server =
                ScriptedServer::start(Login::new(&server_info(), "alice", "wordpass".into()));
            server.respond_text(status, body);
            let error = server.error().to_string();
            assert!(
                error.starts_with("https://matrix.example.org "),
                "{status} {body}: {error}"
            );
        }
    }
}
