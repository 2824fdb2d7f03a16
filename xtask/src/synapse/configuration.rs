//! The configuration of Synapse for each profile.

use std::path::Path;

use serde_json::{Value, json};

use super::fakes::{self, Fakes};
use super::profile::{Profile, Profiles};

/// The input of a server's configuration.
pub(super) struct ServerSettings<'a> {
    pub(super) profiles: &'a Profiles,
    pub(super) port: u16,
    pub(super) run_dir: &'a Path,
    pub(super) shared_secret: &'a str,
    /// For macaroons and forms.
    pub(super) inner_secret: &'a str,
    pub(super) fakes: &'a Fakes,
}

/// The terms-of-service pages, at the paths that Synapse expects.
pub(super) const TERMS: [(&str, &str); 2] = [
    (
        "terms/en/1.0.html",
        "<!doctype html><title>Terms</title><p>Be kind.\n",
    ),
    (
        "terms/en/success.html",
        "<!doctype html><title>Terms</title><p>Thank you.\n",
    ),
];

/// The content of `homeserver.yaml`: JSON is YAML.
pub(super) fn configuration(setting: &ServerSettings<'_>) -> Value {
    let mut config = open(setting);
    for profile in setting.profiles.iter() {
        apply(profile, &mut config, setting);
    }
    config
}

fn apply(profile: Profile, config: &mut Value, setting: &ServerSettings<'_>) {
    match profile {
        Profile::Open => {}
        Profile::Token => config["registration_requires_token"] = json!(true),
        Profile::Terms => {
            config["user_consent"] = json!({
                "template_dir": setting.run_dir.join("terms"),
                "version": "1.0",
                "policy_name": "Terms of this test server",
                "require_at_registration": true,
            });
            config["listeners"][0]["resources"][0]["names"] = json!(["client", "consent"]);
        }
        Profile::Guests => config["allow_guest_access"] = json!(true),
        // The authorization server issues the tokens.
        Profile::Refresh if setting.profiles.has(Profile::Oauth) => {}
        Profile::Refresh => config["refreshable_access_token_lifetime"] = json!("5s"),
        Profile::Shortlived => config["nonrefreshable_access_token_lifetime"] = json!("5s"),
        Profile::Ratelimited => {
            config["rc_registration"] = json!({ "per_second": 0.25, "burst_count": 3 });
        }
        Profile::Paced => {
            config["rc_registration"] = json!({ "per_second": 5, "burst_count": 10 });
        }
        Profile::Closed => config["enable_registration"] = json!(false),
        Profile::Policy => {
            config["password_config"] = json!({ "policy": {
                "enabled": true,
                "minimum_length": 12,
                "require_digit": true,
                "require_symbol": true,
                "require_lowercase": true,
                "require_uppercase": true,
            } });
        }
        Profile::Email => {
            config["email"] = email(setting);
            require_3pid(config, "email");
        }
        Profile::EmailOptional => config["email"] = email(setting),
        Profile::Msisdn => {
            config["account_threepid_delegates"] = json!({ "msisdn": setting.fakes.web_url() });
            require_3pid(config, "msisdn");
        }
        Profile::Recaptcha => {
            config["enable_registration_captcha"] = json!(true);
            config["recaptcha_public_key"] = json!(fakes::CAPTCHA_PUBLIC_KEY);
            config["recaptcha_private_key"] = json!(fakes::CAPTCHA_SECRET);
            let url = format!("{}/siteverify", setting.fakes.web_url());
            config["recaptcha_siteverify_api"] = json!(url);
        }
        Profile::Appservice => {
            let files = [fakes::APPSERVICE_FILE, fakes::SESSIONLESS_FILE]
                .map(|file| setting.run_dir.join(file));
            config["app_service_config_files"] = json!(files);
        }
        Profile::Logintoken => {
            config["login_via_existing_session"] = json!({ "enabled": true });
        }
        Profile::Sso => {
            config["oidc_providers"] = json!([openid_provider(setting)]);
            // A client on loopback gets its token without a confirmation page.
            config["sso"] = json!({ "client_whitelist": ["http://127.0.0.1", "http://localhost"] });
        }
        Profile::Oauth => {
            config["matrix_authentication_service"] = json!({
                "enabled": true,
                "endpoint": setting.fakes.web_url(),
                "secret": setting.fakes.oauth_secret,
            });
            config["enable_registration"] = json!(false);
            config["password_config"] = json!({ "enabled": false });
            config["registration_shared_secret"].take();
        }
        Profile::Clients => {
            let services = setting.fakes.services.iter();
            let files: Vec<_> = services
                .map(|service| setting.run_dir.join(service.file()))
                .collect();
            config["app_service_config_files"] = json!(files);
            config["allow_guest_access"] = json!(true);
            config["room_list_publication_rules"] = json!([{ "action": "allow" }]);
            config["turn_uris"] = json!(["turn:127.0.0.1:3478"]);
            config["turn_shared_secret"] = json!(setting.inner_secret);
        }
    }
}

fn email(setting: &ServerSettings<'_>) -> Value {
    json!({
        "smtp_host": "127.0.0.1",
        "smtp_port": setting.fakes.mail_port,
        "enable_tls": false,
        "notif_from": format!("Test server <noreply@{}>", setting.profiles.server_name()),
    })
}

fn require_3pid(config: &mut Value, medium: &str) {
    let required = &mut config["registrations_require_3pid"];
    match required.as_array_mut() {
        Some(required) => required.push(json!(medium)),
        None => *required = json!([medium]),
    }
}

fn openid_provider(setting: &ServerSettings<'_>) -> Value {
    json!({
        "idp_id": fakes::OPENID_ID,
        "idp_name": "Sign in on loopback",
        "issuer": setting.fakes.web_url(),
        // It does not use https.
        "skip_verification": true,
        "client_id": fakes::OPENID_CLIENT,
        "client_secret": setting.fakes.openid_secret,
        "scopes": ["openid", "profile"],
        "user_mapping_provider": { "config": {
            "localpart_template": "{{ user.preferred_username }}",
            "display_name_template": "{{ user.name }}",
        } },
    })
}

fn open(setting: &ServerSettings<'_>) -> Value {
    let run_dir = setting.run_dir;
    let mut config = json!({
        "server_name": setting.profiles.server_name(),
        "public_baseurl": format!("http://127.0.0.1:{}/", setting.port),
        "listeners": [{
            "type": "http",
            "bind_addresses": ["127.0.0.1"],
            "port": setting.port,
            // The requests of the set-up send a forged address: see `http::call`.
            "x_forwarded": true,
            "resources": [{ "names": ["client"] }],
        }],
        "database": {
            "name": "sqlite3",
            "args": { "database": run_dir.join("database/homeserver.db") },
        },
        "media_store_path": run_dir.join("media"),
        "signing_key_path": run_dir.join("signing.key"),
        "registration_shared_secret": setting.shared_secret,
        "macaroon_secret_key": setting.inner_secret,
        "form_secret": setting.inner_secret,
        "enable_registration": true,
        "enable_registration_without_verification": true,
        // The minimum of bcrypt.
        "bcrypt_rounds": 4,
        // No requests to other machines.
        "report_stats": false,
        "federation_domain_whitelist": [],
        "trusted_key_servers": [],
    });
    let unlimited = || json!({ "per_second": 1e6, "burst_count": 1_000_000 });
    for limit in [
        "rc_message",
        "rc_registration",
        "rc_registration_token_validity",
        "rc_joins_per_room",
        "rc_key_requests",
        "rc_3pid_validation",
        "rc_third_party_invite",
        "rc_media_create",
        "rc_delayed_event_mgmt",
        "rc_room_creation",
        "rc_reports",
        "rc_user_directory",
        "rc_profile",
    ] {
        config[limit] = unlimited();
    }
    for (limit, kinds) in [
        ("rc_login", &["address", "account", "failed_attempts"][..]),
        ("rc_joins", &["local", "remote"]),
        ("rc_invites", &["per_room", "per_user", "per_issuer"]),
        ("rc_presence", &["per_user"]),
    ] {
        for kind in kinds {
            config[limit][kind] = unlimited();
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(profiles: &str) -> Value {
        configuration(&ServerSettings {
            profiles: &profiles.parse().unwrap(),
            port: 8008,
            run_dir: Path::new("/run/here"),
            shared_secret: "shared",
            inner_secret: "inner",
            fakes: &Fakes {
                mail_port: 2525,
                web_port: 8080,
                openid_secret: "openid".to_owned(),
                oauth_secret: "oauth".to_owned(),
                as_token: "as".to_owned(),
                hs_token: "hs".to_owned(),
                sessionless_as_token: "sessionless".to_owned(),
                services: Vec::new(),
            },
        })
    }

    /// The settings, besides the server's name, in which a profile differs from `open`.
    fn changes(profiles: &str) -> Value {
        let open = config("open");
        let mut changed = config(profiles);
        let settings = changed.as_object_mut().unwrap();
        settings.retain(|key, value| key != "server_name" && open.get(key) != Some(value));
        changed
    }

    #[test]
    fn profile_changes_only_its_settings() {
        let terms = json!({
            "template_dir": "/run/here/terms",
            "version": "1.0",
            "policy_name": "Terms of this test server",
            "require_at_registration": true,
        });
        let expected = [
            ("open", json!([])),
            ("token", json!(["registration_requires_token"])),
            ("terms", json!(["listeners", "user_consent"])),
            ("guests", json!(["allow_guest_access"])),
            ("refresh", json!(["refreshable_access_token_lifetime"])),
            (
                "shortlived",
                json!(["nonrefreshable_access_token_lifetime"]),
            ),
            ("ratelimited", json!(["rc_registration"])),
            ("paced", json!(["rc_registration"])),
            ("closed", json!(["enable_registration"])),
            ("policy", json!(["password_config"])),
            ("email", json!(["email", "registrations_require_3pid"])),
            ("email-optional", json!(["email"])),
            (
                "msisdn",
                json!(["account_threepid_delegates", "registrations_require_3pid"]),
            ),
            (
                "recaptcha",
                json!([
                    "enable_registration_captcha",
                    "recaptcha_private_key",
                    "recaptcha_public_key",
                    "recaptcha_siteverify_api"
                ]),
            ),
            ("appservice", json!(["app_service_config_files"])),
            ("logintoken", json!(["login_via_existing_session"])),
            ("sso", json!(["oidc_providers", "sso"])),
            (
                "oauth",
                json!([
                    "enable_registration",
                    "matrix_authentication_service",
                    "password_config",
                    "registration_shared_secret"
                ]),
            ),
            (
                "clients",
                json!([
                    "allow_guest_access",
                    "app_service_config_files",
                    "room_list_publication_rules",
                    "turn_shared_secret",
                    "turn_uris"
                ]),
            ),
        ];
        assert_eq!(expected.len(), Profile::ALL.len());
        for (profile, keys) in expected {
            let changes = changes(profile);
            let changed: Vec<_> = changes.as_object().unwrap().keys().collect();
            assert_eq!(json!(changed), keys, "{profile}");
        }
        assert_eq!(changes("terms")["user_consent"], terms);
        assert_eq!(changes("closed")["enable_registration"], json!(false));
    }

    #[test]
    fn combined_profiles_merge_in_any_order() {
        let both = changes("token+terms");
        assert_eq!(both, changes("terms+token"));
        assert_eq!(both["registration_requires_token"], json!(true));
        assert_eq!(both["user_consent"], changes("terms")["user_consent"]);
        let needed = &changes("msisdn+email")["registrations_require_3pid"];
        assert_eq!(*needed, json!(["email", "msisdn"]));
    }

    #[test]
    fn server_is_isolated_on_loopback() {
        let config = config("token+terms");
        assert_eq!(
            config["listeners"][0]["bind_addresses"],
            json!(["127.0.0.1"])
        );
        assert_eq!(config["listeners"].as_array().unwrap().len(), 1);
        assert_eq!(config["federation_domain_whitelist"], json!([]));
        assert_eq!(config["trusted_key_servers"], json!([]));
        assert_eq!(config["report_stats"], json!(false));
    }
}
