//! The captcha stage, which accepts responses that begin with `ok`.

use matricula_homeserver::{Captcha, Config};
use serde_json::json;

use crate::{PASSWORD, REGISTER, TestServer, text};

#[test]
fn captcha_accepts_only_right_responses() {
    let flows = [["m.login.recaptcha", "m.login.dummy"]];
    let config = Config::default().flows(flows).captcha(Captcha::new("key"));
    let mut home = TestServer::new(config);
    let body = json!({ "username": "alice", "password": PASSWORD });
    let asked = home.post(REGISTER, body).more();
    let params = json!({ "m.login.recaptcha": { "public_key": "key" } });
    assert_eq!(asked["params"], params);
    let session = text(&asked, "session");
    let mut attempt = |response: Option<&str>| {
        let mut auth = json!({ "type": "m.login.recaptcha", "session": session });
        if let Some(response) = response {
            auth["response"] = json!(response);
        }
        home.post(REGISTER, json!({ "auth": auth }))
    };
    attempt(None).err(401, "M_CAPTCHA_NEEDED");
    attempt(Some("robot")).err(401, "M_UNAUTHORIZED");
    let json = attempt(Some("ok, I am human")).more();
    assert_eq!(json["completed"], json!(["m.login.recaptcha"]));
    let auth = json!({ "type": "m.login.dummy", "session": session });
    home.post(REGISTER, json!({ "auth": auth })).ok();
}
