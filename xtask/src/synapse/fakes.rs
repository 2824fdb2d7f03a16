//! Fake services beside Synapse: mail, text messages, captchas, OpenID, application services.
//!
//! The fakes are the Python package `synapse/fakes`. They run in the process of the launcher, so they
//! always end with the server. An application service is only a registration file.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::profile::{Profile, Profiles};
use crate::test_service::TestService;
use crate::workspace::random_hex;
use crate::{Result, embedded};

pub(super) const CAPTCHA_PUBLIC_KEY: &str = "captcha-of-a-test-server";
pub(super) const CAPTCHA_SECRET: &str = "captcha-secret-of-a-test-server";
pub(super) const APPSERVICE_FILE: &str = "appservice.json";
/// A second application service, whose users get no sessions: <https://github.com/matrix-org/matrix-spec-proposals/pull/4190>.
pub(super) const SESSIONLESS_FILE: &str = "sessionless-appservice.json";
pub(super) const OPENID_ID: &str = "loopback";
pub(super) const OPENID_CLIENT: &str = "synapse";

const CAPTCHA_RESPONSE: &str = "i-am-human";
const PHONE_CODE: &str = "123456";
const NAMESPACE: &str = "@bridge_.*";
const SESSIONLESS_NAMESPACE: &str = "@phantom_.*";
const SENDER: &str = "bridge_bot";
const HOW_TO_SIGN_IN: &str = "add user=NAME to the query of the provider's page to sign in as NAME, or \
    refuse=yes to be refused; without either it shows a form. Keep the cookies of all redirects, also \
    those marked Secure";

/// The ports and secrets of the fakes of one server.
pub(super) struct Fakes {
    pub(super) mail_port: u16,
    /// The port of the identity server, the captcha verifier and the OpenID provider; with the
    /// profile `oauth`, that of the authorization server.
    pub(super) web_port: u16,
    pub(super) openid_secret: String,
    pub(super) oauth_secret: String,
    pub(super) as_token: String,
    pub(super) hs_token: String,
    pub(super) sessionless_as_token: String,
    /// What the profile `clients` sends events to.
    pub(super) services: Vec<TestService>,
}

impl Fakes {
    pub(super) fn new(mail_port: u16, web_port: u16) -> Result<Self> {
        Ok(Self {
            mail_port,
            web_port,
            openid_secret: random_hex(24)?,
            oauth_secret: random_hex(24)?,
            as_token: random_hex(24)?,
            hs_token: random_hex(24)?,
            sessionless_as_token: random_hex(24)?,
            services: TestService::all()?,
        })
    }

    pub(super) fn web_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.web_port)
    }

    /// The content of `fakes.json`, which says which fakes the launcher starts.
    pub(super) fn settings(&self, profiles: &Profiles, run_dir: &Path, port: u16) -> Value {
        let mut settings = json!({});
        if sends_mail(profiles) {
            let messages = messages(run_dir);
            settings["mail"] = json!({ "port": self.mail_port, "messages": messages });
        }
        let mut web = json!({});
        if profiles.has(Profile::Msisdn) {
            web["phone"] = json!({ "code": PHONE_CODE });
        }
        if profiles.has(Profile::Recaptcha) {
            web["captcha"] = json!({ "secret": CAPTCHA_SECRET, "good_response": CAPTCHA_RESPONSE });
        }
        if profiles.has(Profile::Sso) {
            web["openid"] = json!({
                "issuer": self.web_url(),
                "client_id": OPENID_CLIENT,
                "client_secret": self.openid_secret,
                "redirect_uri": format!("http://127.0.0.1:{port}/_synapse/client/oidc/callback"),
            });
        }
        if profiles.has(Profile::Oauth) {
            settings["oauth"] = json!({
                "program": embedded::program(),
                "config": run_dir.join(super::delegate::FILE),
                "address": format!("127.0.0.1:{}", self.web_port),
            });
        }
        if web != json!({}) {
            web["port"] = json!(self.web_port);
            settings["web"] = web;
        }
        settings
    }

    /// The registration of the application service.
    pub(super) fn registration(&self) -> Value {
        json!({
            "id": "bridge",
            // Tests are about the requests that it sends; it receives none.
            "url": null,
            "as_token": self.as_token,
            "hs_token": self.hs_token,
            "sender_localpart": SENDER,
            "namespaces": { "users": [{ "regex": NAMESPACE, "exclusive": true }] },
        })
    }

    /// The registration of the application service whose users get no sessions.
    pub(super) fn sessionless_registration(&self) -> Value {
        json!({
            "id": "phantom",
            "url": null,
            "as_token": self.sessionless_as_token,
            "hs_token": format!("{}-phantom", self.hs_token),
            "sender_localpart": "phantom_bot",
            "io.element.msc4190": true,
            "namespaces": { "users": [{ "regex": SESSIONLESS_NAMESPACE, "exclusive": true }] },
        })
    }

    /// Adds what a test needs to use the fakes to the JSON object that `up` prints.
    pub(super) fn describe(&self, info: &mut Value, profiles: &Profiles, run_dir: &Path) {
        if sends_mail(profiles) {
            info["smtp"] = json!({
                "address": format!("127.0.0.1:{}", self.mail_port),
                "messages": messages(run_dir),
            });
        }
        if profiles.has(Profile::Msisdn) {
            info["identity_server"] = json!({ "url": self.web_url(), "code": PHONE_CODE });
        }
        if profiles.has(Profile::Recaptcha) {
            info["recaptcha"] = json!({
                "public_key": CAPTCHA_PUBLIC_KEY,
                "good_response": CAPTCHA_RESPONSE,
            });
        }
        if profiles.has(Profile::Appservice) {
            info["appservice"] = json!({
                "as_token": self.as_token,
                "hs_token": self.hs_token,
                "namespace": NAMESPACE,
                "sender": format!("@{SENDER}:{}", profiles.server_name()),
                "sessionless": {
                    "as_token": self.sessionless_as_token,
                    "namespace": SESSIONLESS_NAMESPACE,
                },
            });
        }
        if profiles.has(Profile::Clients) {
            info["services"] = TestService::describe(&self.services);
        }
        if profiles.has(Profile::Oauth) {
            info["oauth"] = json!({ "issuer": self.web_url() });
        }
        if profiles.has(Profile::Sso) {
            info["sso"] = json!({
                // The id in the login flows of Synapse.
                "provider": format!("oidc-{OPENID_ID}"),
                "issuer": self.web_url(),
                "login": HOW_TO_SIGN_IN,
            });
        }
    }
}

/// Three different free ports: for Synapse, mail and the web. Another process may take them.
pub(super) fn free_ports() -> Result<[u16; 3]> {
    let open = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let find = || {
        // All are bound until the last one is found, so that they differ.
        let held = [open()?, open()?, open()?];
        let mut ports = [0; 3];
        for (port, listener) in ports.iter_mut().zip(&held) {
            *port = listener.local_addr()?.port();
        }
        Ok(ports)
    };
    find().map_err(|error: std::io::Error| format!("no free port was found on 127.0.0.1: {error}"))
}

fn sends_mail(profiles: &Profiles) -> bool {
    profiles.has(Profile::Email) || profiles.has(Profile::EmailOptional)
}

fn messages(run_dir: &Path) -> PathBuf {
    run_dir.join("mail")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(profiles: &str) -> Value {
        let fakes = Fakes::new(2525, 8080).unwrap();
        fakes.settings(&profiles.parse().unwrap(), Path::new("/run/here"), 8008)
    }

    #[test]
    fn only_needed_fakes_are_started() {
        assert_eq!(settings("open+terms+appservice+logintoken"), json!({}));
        let mail = json!({ "port": 2525, "messages": "/run/here/mail" });
        assert_eq!(settings("email"), json!({ "mail": mail }));
        assert_eq!(settings("email-optional"), json!({ "mail": mail }));
        let phone = json!({ "port": 8080, "phone": { "code": PHONE_CODE } });
        assert_eq!(settings("msisdn"), json!({ "web": phone }));
        let address = &settings("oauth")["oauth"]["address"];
        assert_eq!(*address, "127.0.0.1:8080");
        let all = settings("email+msisdn+recaptcha+sso");
        let web = all["web"].as_object().unwrap();
        let parts: Vec<_> = web.keys().map(String::as_str).collect();
        assert_eq!(parts, ["captcha", "openid", "phone", "port"]);
    }

    #[test]
    fn used_fakes_are_described() {
        let fakes = Fakes::new(2525, 8080).unwrap();
        let describe = |profiles: &str| {
            let mut info = json!({});
            fakes.describe(
                &mut info,
                &profiles.parse().unwrap(),
                Path::new("/run/here"),
            );
            info
        };
        for (profile, key, field) in [
            ("email", "smtp", "messages"),
            ("email-optional", "smtp", "messages"),
            ("msisdn", "identity_server", "code"),
            ("recaptcha", "recaptcha", "good_response"),
            ("appservice", "appservice", "as_token"),
            ("sso", "sso", "provider"),
            ("oauth", "oauth", "issuer"),
        ] {
            let info = describe(profile);
            assert!(info[key][field].is_string(), "{info}");
            assert_eq!(info.as_object().unwrap().len(), 1, "{info}");
        }
        let sender = &describe("appservice")["appservice"]["sender"];
        assert_eq!(*sender, json!("@bridge_bot:appservice.test"));
        assert_eq!(describe("open+logintoken"), json!({}));
    }

    #[test]
    fn free_ports_differ() {
        let [one, two, three] = free_ports().unwrap();
        assert!(one != two && two != three && one != three);
    }
}
