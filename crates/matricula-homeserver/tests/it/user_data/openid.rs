//! OpenID tokens.

use std::time::Duration;

use serde_json::json;

use super::own;
use crate::{TestServer, text};

const USER_INFO: &str = "/_matrix/federation/v1/openid/userinfo";

#[test]
fn openid_token_names_its_user() {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let path = own(&alice, "openid/request_token");
    home.post_as(&bob.token, &path, json!({}))
        .err(403, "M_FORBIDDEN");
    let issued = home.post_as(&alice.token, &path, json!({})).ok();
    let token = text(&issued, "access_token");
    assert_eq!(
        issued,
        json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600,
            "matrix_server_name": "private.localhost" })
    );
    let info = format!("{USER_INFO}?access_token={token}");
    assert_eq!(home.get(&info).ok(), json!({ "sub": alice.user_id }));
    // It is good for nothing else, and other tokens are not good for this.
    home.whoami(&token).err(401, "M_UNKNOWN_TOKEN");
    home.post_as(&token, &path, json!({}))
        .err(401, "M_UNKNOWN_TOKEN");
    home.get(USER_INFO).err(401, "M_MISSING_TOKEN");
    for other in ["x", "", &alice.token] {
        let path = format!("{USER_INFO}?access_token={other}");
        home.get(&path).err(401, "M_UNKNOWN_TOKEN");
    }
    home.wait(Duration::from_secs(3_599));
    home.get(&info).ok();
    home.wait(Duration::from_secs(1));
    home.get(&info).err(401, "M_UNKNOWN_TOKEN");
}

#[test]
fn openid_token_ends_with_the_account() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    let path = own(&alice, "openid/request_token");
    let issued = home.post_as(&alice.token, &path, json!({})).ok();
    let info = format!("{USER_INFO}?access_token={}", text(&issued, "access_token"));
    let path = "/_matrix/client/v3/account/deactivate";
    home.prove(&alice, matricula_core::Method::Post, path, json!({}))
        .ok();
    home.get(&info).err(401, "M_UNKNOWN_TOKEN");
}
