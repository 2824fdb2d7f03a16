//! The same for the APIs of identity servers, bridges and push gateways.

use matricula_api::{
    Endpoint,
    identity::{
        v2_associations::{Bind, GetValidated3Pid, Unbind},
        v2_auth::RegisterAccount,
        v2_email_associations::{RequestEmailToken, SubmitEmailToken, SubmitEmailTokenByLink},
        v2_invitation_signing::SignEd25519,
        v2_phone_associations::{RequestMsisdnToken, SubmitMsisdnToken, SubmitMsisdnTokenByLink},
        v2_store_invite::StoreInvite,
    },
    operations,
    push::push_notifier::Notify,
};
use matricula_core::{Api, Operation};
use serde_json::json;

use super::{CANARY, masked, masked_answer};
use crate::server;

/// The ids of the operations with secrets of a kind, sorted.
fn with(secrets: fn(&Operation) -> &'static [&'static str]) -> Vec<&'static str> {
    let others = operations().filter(|found| found.api != Api::Client);
    let found = others.filter(|found| !secrets(found).is_empty());
    let mut ids: Vec<&str> = found.map(|found| found.id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn requests_mask_their_secrets() {
    let code = || json!({"sid": "s"});
    let checked = [
        masked::<Bind>(json!({"sid": "s", "mxid": "@a:b"})),
        masked::<SignEd25519>(json!({"mxid": "@a:b"})),
        masked::<RequestEmailToken>(json!({"email": "a@b", "send_attempt": 1})),
        masked::<SubmitEmailToken>(code()),
        masked::<RequestMsisdnToken>(
            json!({"country": "GB", "phone_number": "1", "send_attempt": 1}),
        ),
        masked::<SubmitMsisdnToken>(code()),
        masked::<Notify>(json!({"notification": {"devices": [{"app_id": "a"}]}})),
        masked::<RegisterAccount>(
            json!({"token_type": "Bearer", "matrix_server_name": "b", "expires_in": 1}),
        ),
        masked::<Unbind>(
            json!({"mxid": "@a:b", "threepid": {"medium": "email", "address": "a@b"}}),
        ),
    ];
    assert_eq!(with(|found| found.request_secrets), checked);
}

#[test]
fn responses_mask_their_secrets() {
    let checked = [
        masked_answer::<SignEd25519>(json!({"mxid": "@a:b", "sender": "@c:b", "signatures": {}})),
        masked_answer::<RegisterAccount>(json!({})),
        masked_answer::<StoreInvite>(json!({"public_keys": [], "display_name": "a..."})),
    ];
    assert_eq!(with(|found| found.response_secrets), checked);
}

#[test]
fn queries_mask_their_secrets() {
    let checked = [
        masked_query(&SubmitEmailTokenByLink::new("s", CANARY, CANARY)),
        masked_query(&GetValidated3Pid::new("s", CANARY)),
        masked_query(&SubmitMsisdnTokenByLink::new("s", CANARY, CANARY)),
    ];
    assert_eq!(with(|found| found.query_secrets), checked);
}

fn masked_query<E: Endpoint + std::fmt::Debug>(request: &E) -> &'static str {
    let job = request.job(&server());
    let sent = job.request_query().iter();
    let secrets = sent.filter(|(_, value)| value == CANARY).count();
    assert_eq!(secrets, E::OPERATION.query_secrets.len());
    let masked = job.masked_query();
    let hidden = masked.iter().filter(|(_, value)| *value == "***").count();
    assert_eq!(hidden, secrets, "{masked:?}");
    for shown in [format!("{request:?}"), format!("{job:?}")] {
        assert!(!shown.contains(CANARY), "{shown}");
    }
    assert!(job.holds_secret());
    E::OPERATION.id
}
