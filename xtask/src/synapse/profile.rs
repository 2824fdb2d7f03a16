//! The ways in which a server lets people register, and the configuration of each.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde_json::{Value, json};

/// One way of registering. Each only adds to `Open`, so that they combine in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Profile {
    Open,
    Token,
    Terms,
    Guests,
    Refresh,
    Shortlived,
    Ratelimited,
    Closed,
    Policy,
}

impl Profile {
    const ALL: [Self; 9] = [
        Self::Open,
        Self::Token,
        Self::Terms,
        Self::Guests,
        Self::Refresh,
        Self::Shortlived,
        Self::Ratelimited,
        Self::Closed,
        Self::Policy,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Token => "token",
            Self::Terms => "terms",
            Self::Guests => "guests",
            Self::Refresh => "refresh",
            Self::Shortlived => "shortlived",
            Self::Ratelimited => "ratelimited",
            Self::Closed => "closed",
            Self::Policy => "policy",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Open => "anyone may register",
            Self::Token => "a registration token is asked: letmein, once, spent, expired",
            Self::Terms => "terms are to be accepted",
            Self::Guests => "guests may register too",
            Self::Refresh => "access tokens that can be refreshed live 5 seconds",
            Self::Shortlived => "access tokens that cannot be refreshed live 5 seconds",
            Self::Ratelimited => "3 accounts at once, then one every 2 seconds",
            Self::Closed => "nobody may register",
            Self::Policy => "passwords: 12 characters, digit, symbol, lower and upper case",
        }
    }
}

/// The profiles for the help of `up`.
pub(crate) fn help() -> String {
    let lines =
        Profile::ALL.map(|profile| format!("\n  {:<12} {}", profile.name(), profile.sentence()));
    format!("Profiles:{}", lines.concat())
}

/// A combination of profiles: `token+terms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profiles(BTreeSet<Profile>);

impl Profiles {
    pub(crate) fn has(&self, profile: Profile) -> bool {
        self.0.contains(&profile)
    }

    /// A domain that exists nowhere and that differs from the address, as real ones do.
    pub(crate) fn server_name(&self) -> String {
        format!("{}.test", self.to_string().replace('+', "-"))
    }
}

impl FromStr for Profiles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let find = |name| {
            let mut all = Profile::ALL.into_iter();
            all.find(|profile| profile.name() == name).ok_or_else(|| {
                let all = Profile::ALL.map(Profile::name).join(", ");
                format!("there is no profile `{name}`; there are {all}")
            })
        };
        text.split('+')
            .map(find)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|profile| profile.name()).collect();
        f.write_str(&names.join("+"))
    }
}

/// What one server's configuration is made of.
pub(crate) struct Setting<'a> {
    pub(crate) profiles: &'a Profiles,
    pub(crate) port: u16,
    pub(crate) run_dir: &'a Path,
    pub(crate) shared_secret: &'a str,
    /// For what Synapse signs.
    pub(crate) inner_secret: &'a str,
}

/// The text of a terms-of-service page, where Synapse looks for it.
pub(crate) const TERMS: [(&str, &str); 2] = [
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
pub(crate) fn configuration(setting: &Setting<'_>) -> Value {
    let mut config = open(setting);
    for profile in &setting.profiles.0 {
        apply(*profile, &mut config, setting);
    }
    config
}

fn apply(profile: Profile, config: &mut Value, setting: &Setting<'_>) {
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
        Profile::Refresh => config["refreshable_access_token_lifetime"] = json!("5s"),
        Profile::Shortlived => config["nonrefreshable_access_token_lifetime"] = json!("5s"),
        Profile::Ratelimited => {
            config["rc_registration"] = json!({ "per_second": 0.5, "burst_count": 3 });
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
    }
}

fn open(setting: &Setting<'_>) -> Value {
    let run_dir = setting.run_dir;
    let mut config = json!({
        "server_name": setting.profiles.server_name(),
        "public_baseurl": format!("http://127.0.0.1:{}/", setting.port),
        "listeners": [{
            "type": "http",
            "bind_addresses": ["127.0.0.1"],
            "port": setting.port,
            // The set-up's own requests claim another address: see `http::call`.
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
        // The cheapest that bcrypt has.
        "bcrypt_rounds": 4,
        // Nothing leaves this machine.
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
        configuration(&Setting {
            profiles: &profiles.parse().unwrap(),
            port: 8008,
            run_dir: Path::new("/run/here"),
            shared_secret: "shared",
            inner_secret: "inner",
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
    fn every_profile_changes_what_it_says_and_nothing_else() {
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
            ("closed", json!(["enable_registration"])),
            ("policy", json!(["password_config"])),
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
    fn a_combination_has_the_changes_of_all_in_any_order() {
        let both = changes("token+terms");
        assert_eq!(both, changes("terms+token"));
        assert_eq!(both["registration_requires_token"], json!(true));
        assert_eq!(both["user_consent"], changes("terms")["user_consent"]);
        assert_eq!(changes("open+closed"), changes("closed+open"));
        assert_eq!(changes("open+closed")["enable_registration"], json!(false));
    }

    #[test]
    fn a_server_listens_on_loopback_alone_and_talks_to_nobody() {
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

    #[test]
    fn profiles_are_named_and_unknown_ones_are_refused_with_the_list() {
        let profiles: Profiles = "terms+token".parse().unwrap();
        assert_eq!(profiles.to_string(), "token+terms");
        assert_eq!(profiles.server_name(), "token-terms.test");
        let error = "token+tokens".parse::<Profiles>().unwrap_err();
        assert!(
            error.contains("`tokens`") && error.contains("shortlived"),
            "{error}"
        );
        assert!("".parse::<Profiles>().is_err());
    }
}
