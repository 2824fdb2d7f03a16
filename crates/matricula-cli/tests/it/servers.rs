//! The homeservers that the tests register on, one a way of registering: the embedded one, and real
//! ones in `live` tests.

use std::{collections::BTreeMap, env, fs, sync::mpsc, thread, time::Duration};

use matricula::core::Timestamp;
use matricula_homeserver::{
    ApplicationService, Config, Limit, Limits, OAuth, PasswordCodes, PasswordPolicy, Policy,
    Registration, RegistrationToken, Server, ServerOptions, Sso,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{command::unique, http::call};

/// Every way of registering that is tested.
pub(crate) const PROFILES: [&str; 10] = [
    "open",
    "token",
    "terms",
    "token+terms",
    "guests",
    "refresh",
    "shortlived",
    "ratelimited",
    "closed",
    "policy",
];

/// The password of an account named `admin` that is there from the start.
const ADMINS_PASSWORD: &str = "Aa1-wordpass-of-admin";

/// A homeserver to register on.
pub(crate) struct Site {
    pub(crate) url: String,
    /// The part of its user ids after the colon.
    pub(crate) name: String,
    /// Registration tokens: `unlimited`, `once`, `spent`, `expired`.
    pub(crate) tokens: BTreeMap<String, String>,
    /// What else is known of it, such as the shared secret of a real one.
    told: Value,
    /// Stops the embedded one when dropped.
    _stop: Option<oneshot::Sender<()>>,
}

impl Site {
    /// A real Synapse of this profile, from the file that `MATRICULA_SYNAPSE` names.
    pub(crate) fn live(profile: &str) -> Self {
        let file = env::var("MATRICULA_SYNAPSE")
            .expect("MATRICULA_SYNAPSE names the file of the servers; cargo xtask test sets it");
        let sites: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let site = &sites[profile];
        let url = site["base_url"].as_str().unwrap().to_owned();
        let mut tokens: BTreeMap<String, String> = match site.get("registration_tokens") {
            Some(tokens) => serde_json::from_value(tokens.clone()).unwrap(),
            None => BTreeMap::new(),
        };
        // Values that no other test uses and that do not occur by chance.
        for (kind, uses) in [("once", Some(1)), ("unlimited", None)] {
            if let Some(token) = tokens.get_mut(kind) {
                *token = unique(kind);
                let path = "/_synapse/admin/v1/registration_tokens/new";
                let body = json!({ "token": *token, "uses_allowed": uses });
                let admin = site["admin"]["access_token"].as_str();
                let (status, answer) = call(&url, "POST", path, admin, Some(&body));
                assert_eq!(status, 200, "{answer}");
            }
        }
        Self {
            url,
            name: site["server_name"].as_str().unwrap().to_owned(),
            tokens,
            told: site.clone(),
            _stop: None,
        }
    }

    /// An embedded homeserver of this profile.
    pub(crate) fn embedded(profile: &str) -> Self {
        let name = format!("{}.test", profile.replace('+', "-"));
        let told = known();
        let secret = told["shared_secret"].as_str().unwrap();
        let mut config = Config::default()
            .server_name(&*name)
            .registration_shared_secret(secret);
        let (mut flow, mut tokens) = (Vec::new(), BTreeMap::new());
        for part in profile.split('+') {
            if part == "token" {
                let kinds = ["unlimited", "once", "spent", "expired"];
                tokens.extend(kinds.map(|kind| (kind.to_owned(), unique(kind))));
                flow.push("m.login.registration_token");
                config = with_tokens(config, &tokens);
            } else {
                flow.extend((part == "terms").then_some("m.login.terms"));
                config = configure(config, part);
            }
        }
        flow.push("m.login.dummy");
        let (url, stop) = serve(config.flows([flow]));
        if let Some(token) = tokens.get("spent") {
            register(&url, "spender", Some(token));
        }
        if !["closed", "oauth"].contains(&profile) {
            register(&url, "admin", tokens.get("unlimited").map(String::as_str));
        }
        Self {
            url,
            name,
            tokens,
            told,
            _stop: Some(stop),
        }
    }

    /// What else is known of it, by a JSON pointer.
    pub(crate) fn told(&self, pointer: &str) -> &str {
        let told = self.told.pointer(pointer).and_then(Value::as_str);
        told.unwrap_or_else(|| panic!("{pointer} is not known of {}", self.url))
    }
}

fn with_tokens(config: Config, tokens: &BTreeMap<String, String>) -> Config {
    let make = |(kind, token): (&String, &String)| {
        let token = RegistrationToken::new(token.as_str());
        match kind.as_str() {
            "once" | "spent" => token.uses_allowed(1),
            "expired" => token.expires_at(Timestamp::from_millis(1)),
            _ => token,
        }
    };
    tokens
        .iter()
        .map(make)
        .fold(config, Config::registration_token)
}

/// What is known of the embedded one's, as `synapse up` tells it of a real one's.
fn known() -> Value {
    json!({
        "shared_secret": "shared-secret-of-the-embedded",
        "appservice": {
            "as_token": "as-token-of-a-bridge",
            "sessionless": { "as_token": "as-token-of-a-phantom" },
        },
    })
}

fn with_application_services(config: Config) -> Config {
    let told = known();
    let token = |pointer: &str| told.pointer(pointer).and_then(Value::as_str).unwrap();
    let bridge = token("/appservice/as_token");
    let phantom = token("/appservice/sessionless/as_token");
    let bridge = ApplicationService::new("bridge", bridge, "bridge_bot").user_prefix("bridge_");
    let phantom =
        ApplicationService::new("phantom", phantom, "phantom_bot").user_prefix("phantom_");
    config
        .application_service(bridge)
        .application_service(phantom.manages_devices(true))
}

fn configure(config: Config, part: &str) -> Config {
    match part {
        // What else the one of a real server brings leaves application services as they are.
        "open" | "logintoken" => config,
        "appservice" => with_application_services(config),
        "oauth" => config.oauth(OAuth::instead()),
        "oauth-beside" => config.oauth(OAuth::beside()),
        "sso" => config.sso(Sso::default()),
        "sso-preferred" => config.sso(Sso::default().preferred(true)),
        "terms" => {
            let name = "Terms of this test server";
            let policy = Policy::new("1.0").translation("en", name, "Be kind.");
            config.policy("terms", policy)
        }
        "renaming" => config.rename_users(true),
        "guests" => config.guests(true),
        "refresh" | "shortlived" => config.access_token_lifetime(Duration::from_secs(5)),
        // One for the administrator.
        "ratelimited" => config.limits(Limits::default().registration(Limit::new(0.5, 4))),
        "closed" => config.registration(Registration::Closed),
        "policy" => {
            let mut policy = PasswordPolicy::strict(PasswordCodes::Named);
            policy.min_length = 12;
            config.password_policy(policy)
        }
        other => panic!("no profile {other}"),
    }
}

/// Serves on a thread until the sender is dropped.
fn serve(config: Config) -> (String, oneshot::Sender<()>) {
    let (tell_url, url) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let server = Server::start(ServerOptions::new(config)).await.unwrap();
            tell_url.send(server.url().as_str().to_owned()).unwrap();
            // A sender that is gone says the same.
            let _ = stopped.await;
        });
    });
    (url.recv().unwrap(), stop)
}

/// Registers through every stage that the server asks for.
fn register(url: &str, username: &str, token: Option<&str>) {
    let path = "/_matrix/client/v3/register";
    let mut body = json!({ "username": username, "password": ADMINS_PASSWORD });
    let (status, asked) = call(url, "POST", path, None, Some(&body));
    assert_eq!(status, 401, "{asked}");
    let mut last = (status, Value::Null);
    for stage in asked["flows"][0]["stages"].as_array().unwrap() {
        body["auth"] = json!({ "type": stage, "session": asked["session"], "token": token });
        last = call(url, "POST", path, None, Some(&body));
    }
    assert_eq!(last.0, 200, "{}", last.1);
}
