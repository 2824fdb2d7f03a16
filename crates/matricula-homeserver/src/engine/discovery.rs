//! What a client may know before it has an account.

use matricula_job::Cx;
use rusqlite::Transaction;
use serde_json::json;

use super::{Homeserver, Request, Response, refusal::Fault};

/// The versions of the specification whose account endpoints this server keeps to.
const VERSIONS: [&str; 19] = [
    "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11",
    "v1.12", "v1.13", "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

impl Homeserver {
    pub(super) fn versions(&self) -> Result<Response, Fault> {
        Ok(Response::json(
            200,
            &json!({ "versions": VERSIONS, "unstable_features": {} }),
        ))
    }

    pub(super) fn well_known(&self) -> Result<Response, Fault> {
        Ok(Response::json(
            200,
            &json!({ "m.homeserver": { "base_url": self.base_url } }),
        ))
    }

    pub(super) fn login_flows(&self) -> Result<Response, Fault> {
        Ok(Response::json(
            200,
            &json!({ "flows": [{ "type": "m.login.password" }] }),
        ))
    }

    /// What this server cannot do and a client would otherwise take for possible.
    pub(super) fn capabilities(
        &self,
        cx: &mut Cx<'_>,
        tx: &Transaction<'_>,
        request: &Request,
    ) -> Result<Response, Fault> {
        self.authenticate(cx, tx, request)?;
        let no = json!({ "enabled": false });
        Ok(Response::json(
            200,
            &json!({ "capabilities": {
                "m.change_password": no,
                "m.set_displayname": no,
                "m.set_avatar_url": no,
                "m.profile_fields": no,
                "m.3pid_changes": no,
                "m.get_login_token": no,
            }}),
        ))
    }
}
