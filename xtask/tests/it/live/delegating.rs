//! The profile `oauth`: Synapse delegates authentication to the embedded homeserver.

use serde_json::{Value, json};

use super::{PASSWORD, REGISTER, Site, unique};
use crate::http::{Answer, call, submit};

const METADATA: &str = "/_matrix/client/v1/auth_metadata";
const DEVICES: &str = "/_matrix/client/v3/devices";
const REDIRECT: &str = "http://127.0.0.1:9/done";
/// The example of RFC 7636.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// An OAuth client that is configured by the server's metadata.
struct Client {
    site: Site,
    metadata: Value,
    id: String,
}

impl Client {
    fn new() -> Self {
        let site = Site::of("oauth");
        let metadata = call("GET", &site.url(METADATA), None, None).json();
        let about = json!({
            "client_uri": "https://example.com/",
            "client_name": "A test",
            "redirect_uris": ["http://127.0.0.1/done"],
            "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token", DEVICE_GRANT],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
        });
        let endpoint = metadata["registration_endpoint"].as_str().unwrap();
        let registered = call("POST", endpoint, None, Some(&about));
        assert_eq!(registered.status, 201, "{registered:?}");
        let id = text(&registered.json(), "client_id");
        Self { site, metadata, id }
    }

    fn post(&self, endpoint: &str, fields: &[(&str, &str)]) -> Answer {
        let endpoint = self.metadata[endpoint].as_str().unwrap();
        let mut fields = fields.to_vec();
        fields.push(("client_id", &self.id));
        submit(endpoint, &fields)
    }

    /// Signs up on the page. Returns the authorization code.
    fn sign_up(&self, name: &str, scope: &str) -> String {
        let query = query(&[
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", REDIRECT),
            ("scope", scope),
            ("state", "a-state"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("prompt", "create"),
        ]);
        let endpoint = self.metadata["authorization_endpoint"].as_str().unwrap();
        let page = format!("{endpoint}?{query}");
        let form = call("GET", &page, None, None);
        let consent = press(&page, &form, "sign-up", name);
        let led = press(&page, &consent, "allow", "");
        let back = led.location().strip_prefix(REDIRECT).unwrap();
        let code = back.strip_prefix("?code=").unwrap();
        code.strip_suffix("&state=a-state").unwrap().to_owned()
    }

    fn redeem(&self, code: &str) -> Answer {
        self.post(
            "token_endpoint",
            &[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", REDIRECT),
                ("code_verifier", VERIFIER),
            ],
        )
    }

    fn refresh(&self, pair: &Value) -> Answer {
        let token = text(pair, "refresh_token");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        self.post("token_endpoint", &fields)
    }
}

fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// Submits the form of a page, as the user of this name.
fn press(page: &str, shown: &Answer, step: &str, name: &str) -> Answer {
    let (_, rest) = shown.body.split_once("name=\"csrf\" value=\"").unwrap();
    let (csrf, _) = rest.split_once('"').unwrap();
    let fields = [
        ("csrf", csrf),
        ("step", step),
        ("username", name),
        ("password", PASSWORD),
    ];
    submit(page, &fields)
}

fn scope(device: &str) -> String {
    format!("urn:matrix:client:api:* urn:matrix:client:device:{device}")
}

fn text(json: &Value, key: &str) -> String {
    let text = json[key].as_str();
    text.unwrap_or_else(|| panic!("no {key} in {json}"))
        .to_owned()
}

fn refused(answer: &Answer, error: &str) {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.json()["error"], error, "{answer:?}");
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn registered_account_has_its_device() {
    let client = Client::new();
    let name = unique("page");
    let device = unique("PAGEDEVICE");
    let code = client.sign_up(&name, &scope(&device));
    let pair = client.redeem(&code).json();
    let token = text(&pair, "access_token");
    let who = client.site.whoami(&token);
    assert_eq!(who["user_id"], client.site.user_id(&name));
    assert_eq!(who["device_id"], *device);
    let devices = call("GET", &client.site.url(DEVICES), Some(&token), None).json();
    assert_eq!(devices["devices"][0]["display_name"], "A test", "{devices}");
    refused(&client.redeem(&code), "invalid_grant");
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn tokens_are_refreshed_and_revoked() {
    let client = Client::new();
    let name = unique("renew");
    let device = unique("RENEWDEVICE");
    let code = client.sign_up(&name, &scope(&device));
    let first = client.redeem(&code).json();
    client.site.whoami(&text(&first, "access_token"));
    let second = client.refresh(&first).json();
    let token = text(&second, "access_token");
    assert_eq!(client.site.whoami(&token)["device_id"], *device);
    // The new token has been used, so the old one is refused. The session goes on.
    refused(&client.refresh(&first), "invalid_grant");
    let third = client.refresh(&second).json();
    client.site.whoami(&text(&third, "access_token"));

    let code = client.sign_up(&unique("back"), &scope(&device));
    let pair = client.redeem(&code).json();
    let token = text(&pair, "access_token");
    client.site.whoami(&token);
    let revoked = client.post("revocation_endpoint", &[("token", &*token)]);
    assert_eq!(revoked.status, 200, "{revoked:?}");
    // The device is deleted on the homeserver too, so a cached token is invalid.
    let url = client.site.url("/_matrix/client/v3/account/whoami");
    let after = call("GET", &url, Some(&token), None);
    assert_eq!(after.status, 401, "{after:?}");
    assert_eq!(after.json()["errcode"], "M_UNKNOWN_TOKEN", "{after:?}");
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn device_code_flow_signs_in() {
    let client = Client::new();
    let name = unique("device");
    let own = unique("FIRSTDEVICE");
    let code = client.sign_up(&name, &scope(&own));
    assert_eq!(client.redeem(&code).status, 200);

    let device = unique("SECONDDEVICE");
    let scope = scope(&device);
    let begun = client.post("device_authorization_endpoint", &[("scope", &*scope)]);
    let begun = begun.json();
    let device_code = text(&begun, "device_code");
    let fields = [("grant_type", DEVICE_GRANT), ("device_code", &*device_code)];
    refused(
        &client.post("token_endpoint", &fields),
        "authorization_pending",
    );
    let page = text(&begun, "verification_uri_complete");
    let form = call("GET", &page, None, None);
    let consent = press(&page, &form, "sign-in", &name);
    let done = press(&page, &consent, "allow", "");
    assert_eq!(done.status, 200, "{done:?}");
    let pair = client.post("token_endpoint", &fields).json();
    let who = client.site.whoami(&text(&pair, "access_token"));
    assert_eq!(who["user_id"], client.site.user_id(&name));
    assert_eq!(who["device_id"], *device);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn password_endpoints_are_disabled() {
    let client = Client::new();
    let issuer = client.site.info_at("/oauth/issuer");
    for base in [client.site.info_at("/base_url"), issuer] {
        let post = |path: &str| call("POST", &format!("{base}{path}"), None, Some(&json!({})));
        let register = post(REGISTER);
        assert_eq!(register.status, 403, "{register:?}");
        assert_eq!(register.json()["errcode"], "M_FORBIDDEN", "{register:?}");
        for path in ["login", "refresh", "logout", "account/password"] {
            let answer = post(&format!("/_matrix/client/v3/{path}"));
            assert_eq!(answer.status, 404, "{answer:?}");
            assert_eq!(answer.json()["errcode"], "M_UNRECOGNIZED", "{answer:?}");
        }
    }
}
