//! The authorization server that Synapse delegates to: the embedded homeserver, in a separate
//! process.

use serde_json::{Value, json};

use super::fakes::Fakes;
use super::profile::{Profile, Profiles};
use crate::{Result, embedded};

/// The name of its configuration file in the server's directory.
pub(super) const FILE: &str = "oauth.json";

/// Builds the program if a profile needs it.
pub(super) fn build(profiles: &Profiles) -> Result<()> {
    if profiles.has(Profile::Oauth) {
        embedded::build()?;
    }
    Ok(())
}

/// Its configuration.
pub(super) fn configuration(profiles: &Profiles, port: u16, fakes: &Fakes) -> Value {
    let mut config = json!({
        "server_name": profiles.server_name(),
        "oauth": { "mode": "instead", "delegation": {
            "homeserver": format!("http://127.0.0.1:{port}"),
            "secret": fakes.oauth_secret,
        } },
    });
    if profiles.has(Profile::Refresh) {
        config["access_token_lifetime_ms"] = json!(5_000);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_names_homeserver_and_token_lifetime() {
        let fakes = Fakes::new(2525, 8080).unwrap();
        let profiles = "oauth".parse().unwrap();
        let config = configuration(&profiles, 8008, &fakes);
        let delegation = &config["oauth"]["delegation"];
        assert_eq!(delegation["homeserver"], "http://127.0.0.1:8008");
        assert_eq!(delegation["secret"], *fakes.oauth_secret);
        assert_eq!(config["server_name"], "oauth.test");
        assert_eq!(config.get("access_token_lifetime_ms"), None);
        let profiles = "oauth+refresh".parse().unwrap();
        let config = configuration(&profiles, 8008, &fakes);
        assert_eq!(config["access_token_lifetime_ms"], 5_000);
    }
}
