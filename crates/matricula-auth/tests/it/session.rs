//! Sessions: calls, renewal, and what ends them.

use matricula_auth::{
    Account, SessionError,
    session::{
        Call, CallEffect, CallEvent, CallInput, Renewal, RenewalEffect, RenewalEvent, RenewalInput,
        RenewalReason, RenewalResult, SessionState,
    },
    tables,
};
use matricula_core::{
    Auth, Body, CredentialRef, Job, Machine, Method, Response, SeededEntropy, ServerUrl,
    StepContext, Timestamp, TransportErrorKind, WriteBatch, scheduler::Outcome,
};
use serde_json::{Value, json};

use crate::scripted_server::transport_error;

const NOW: u64 = 1_700_000_000_000;

fn account(change: Value) -> Account {
    let mut account = json!({
        "user_id": "@a:e.org", "server": "https://e.org", "device_id": "D", "access_token": "old",
        "refresh_token": "ref", "expires_at": null,
    });
    for (key, value) in change.as_object().unwrap() {
        account[key] = value.clone();
    }
    serde_json::from_value(account).unwrap()
}

fn of_oauth() -> Account {
    account(json!({ "oauth": {
        "issuer": "https://i.org/", "client_id": "c", "token_endpoint": "https://i.org/token",
        "revocation_endpoint": "https://i.org/revoke",
    }}))
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn done(status: u16, body: &Value) -> Outcome {
    let body = Body::Json(body.to_string());
    Outcome::Responded(Response::new(status, vec![], body))
}

fn unknown_token(soft_logout: bool) -> Outcome {
    let body = json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "", "soft_logout": soft_logout });
    done(401, &body)
}

/// Runs a renewal; each request for tokens is answered by the next of `answers`, or the last again.
fn renew(
    standing: &SessionState,
    reason: RenewalReason,
    answers: &[Outcome],
) -> (RenewalResult, Vec<WriteBatch>, usize) {
    let token = standing.account().access_token.clone();
    let mut renewal = Renewal::new(reason, token);
    let (mut now, mut entropy) = (NOW, SeededEntropy::new(1));
    let (mut commits, mut requests) = (Vec::new(), 0);
    let mut input = RenewalInput::Start;
    loop {
        let step = renewal.step(&mut StepContext::new(at(now), &mut entropy), input);
        if !step.writes.is_empty() {
            commits.push(step.writes);
        }
        if let Some(RenewalEvent::Finished(settled)) = step.events.into_iter().next() {
            return (*settled, commits, requests);
        }
        input = match step.effects.into_iter().next().unwrap() {
            RenewalEffect::LockProcess => RenewalInput::ProcessLocked(Box::new(standing.clone())),
            RenewalEffect::LockStore => RenewalInput::StoreLocked,
            RenewalEffect::Read => RenewalInput::Stored(None),
            RenewalEffect::Send(_) => {
                requests += 1;
                let last = answers.len() - 1;
                RenewalInput::Outcome(answers[last.min(requests - 1)].clone())
            }
            RenewalEffect::Wait(until) => {
                now = until.as_millis();
                RenewalInput::Waited
            }
            other => panic!("{other:?}"),
        };
    }
}

/// What one call did: how it ended, with which tokens it was sent, why it asked for renewals.
struct Called {
    result: Result<Outcome, SessionError>,
    sent: Vec<String>,
    renewals: Vec<RenewalReason>,
}

/// Runs a call at this time; requests and renewals are answered in order.
fn call(
    standing: &mut SessionState,
    now: u64,
    answers: &[Outcome],
    mut renewed: impl FnMut(&mut SessionState) -> Result<(), SessionError>,
) -> Called {
    let server: ServerUrl = "https://e.org".parse().unwrap();
    let job = Job::new(&server, "/sync", Method::Get, "sync")
        .with_auth(Auth::Required(CredentialRef::new("@a:e.org/D")));
    let (mut call, mut entropy) = (Call::new(job), SeededEntropy::new(1));
    let (mut sent, mut renewals) = (Vec::new(), Vec::new());
    let mut input = CallInput::Start(Box::new(standing.clone()));
    loop {
        let step = call.step(&mut StepContext::new(at(now), &mut entropy), input);
        for event in step.events {
            match event {
                CallEvent::Locked => standing.lock(at(now)),
                CallEvent::Unlocked => standing.unlock(),
                CallEvent::Finished(result) => {
                    let result = *result;
                    return Called {
                        result,
                        sent,
                        renewals,
                    };
                }
                other => panic!("{other:?}"),
            }
        }
        input = match step.effects.into_iter().next().unwrap() {
            CallEffect::Send(job) => {
                let Auth::Token(token) = job.auth() else {
                    panic!("{:?}", job.auth())
                };
                sent.push(token.expose().to_owned());
                CallInput::Outcome(answers[sent.len() - 1].clone())
            }
            CallEffect::Renew(reason, _) => {
                renewals.push(reason);
                let result = renewed(standing);
                CallInput::Renewed(Box::new(standing.clone()), result)
            }
            other => panic!("{other:?}"),
        };
    }
}

fn no_renewal(_: &mut SessionState) -> Result<(), SessionError> {
    panic!("nothing is to be renewed")
}

#[test]
fn only_token_refusals_sign_out() {
    let wanted = RenewalReason::Requested;
    for (account, status, body) in [
        (
            account(json!({})),
            401,
            json!({ "errcode": "M_UNKNOWN_TOKEN" }),
        ),
        (account(json!({})), 403, json!({ "errcode": "M_FORBIDDEN" })),
        (of_oauth(), 400, json!({ "error": "invalid_grant" })),
        (of_oauth(), 401, json!({ "error": "invalid_client" })),
    ] {
        let (settled, commits, requests) =
            renew(&SessionState::new(account), wanted, &[done(status, &body)]);
        let error = settled.result.clone().unwrap_err();
        assert!(
            matches!(error, SessionError::SignedOut { .. }),
            "{body}: {error:?}"
        );
        assert_eq!((commits.len(), requests), (1, 1), "{body}");
        let account = settled.account();
        assert_eq!((&account.access_token, &account.device_id), (&None, &None));
    }
    for (account, status, body) in [
        (
            account(json!({})),
            404,
            json!({ "errcode": "M_UNRECOGNIZED" }),
        ),
        (account(json!({})), 403, json!("<html>a wall</html>")),
        (account(json!({})), 400, json!({ "errcode": "M_BAD_JSON" })),
        (
            account(json!({})),
            401,
            json!({ "errcode": "M_USER_LOCKED", "soft_logout": true }),
        ),
        (of_oauth(), 400, json!({ "error": "invalid_request" })),
        (of_oauth(), 403, json!("<html>a wall</html>")),
    ] {
        let standing = SessionState::new(account);
        let (settled, commits, requests) = renew(&standing, wanted, &[done(status, &body)]);
        assert!(settled.result.is_err());
        assert_eq!(settled.account(), standing.account(), "{body}");
        assert_eq!((commits.len(), requests), (0, 1), "{body}");
    }
}

#[test]
fn unknown_client_is_removed_from_the_store() {
    let unknown =
        json!({ "error": "invalid_client", "error_description": "Client authentication failed." });
    for (body, is_removed) in [
        (unknown, true),
        (json!({ "error": "invalid_grant" }), false),
        (json!({ "error": "unauthorized_client" }), false),
    ] {
        for reason in [RenewalReason::Requested, RenewalReason::Due] {
            let standing = SessionState::new(of_oauth());
            let (settled, commits, _) = renew(&standing, reason, &[done(401, &body)]);
            assert!(settled.result.is_err());
            let writes = commits.iter().flat_map(|commit| commit.writes());
            let mut clients = writes.filter(|write| write.table == tables::OAUTH_CLIENTS);
            let removed = clients.next().map(|write| (&*write.key, &write.value));
            let expected = is_removed.then_some(("https://i.org/", &None));
            assert_eq!(removed, expected, "{body} {reason:?}");
            // The access token is still valid if it was renewed before its time.
            let is_signed_in = settled.account().access_token.is_some();
            assert_eq!(is_signed_in, reason == RenewalReason::Due, "{body}");
        }
    }
}

#[test]
fn unreachable_service_is_named() {
    let lost = Outcome::Failed(transport_error(TransportErrorKind::Connect));
    for (account, name) in [
        (of_oauth(), "https://i.org cannot be reached"),
        (account(json!({})), "https://e.org cannot be reached"),
    ] {
        let standing = SessionState::new(account);
        let lost = std::slice::from_ref(&lost);
        let (settled, ..) = renew(&standing, RenewalReason::Requested, lost);
        let error = settled.result.clone().unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

#[test]
fn transient_failures_are_retried_and_limited() {
    for account in [account(json!({})), of_oauth()] {
        for status in [408, 425, 429, 500, 502, 503, 504, 520] {
            let standing = SessionState::new(account.clone());
            let answers = [done(status, &json!({}))];
            let (settled, commits, requests) = renew(&standing, RenewalReason::Requested, &answers);
            assert!(settled.result.is_err(), "{status}");
            assert_eq!(settled.account(), standing.account(), "{status}");
            assert_eq!((commits.len(), requests), (0, 4), "{status}");
        }
    }
}

#[test]
fn lost_response_reuses_old_token() {
    let answers = [
        done(502, &json!({})),
        done(
            200,
            &json!({ "access_token": "new", "refresh_token": "ref2", "expires_in_ms": 5000 }),
        ),
    ];
    let refused = RenewalReason::Refused { soft_logout: true };
    let (settled, commits, requests) =
        renew(&SessionState::new(account(json!({}))), refused, &answers);
    settled.result.clone().unwrap();
    assert_eq!((commits.len(), requests), (1, 2));
    let account = settled.account();
    assert_eq!(account.access_token, Some("new".into()));
    assert_eq!(account.refresh_token, Some("ref2".into()));
    assert_eq!(account.previous_refresh_token, Some("ref".into()));
    assert!(account.is_due(at(NOW + 10_000)));
}

#[test]
fn renewal_margin_is_a_tenth() {
    for (lifetime, due) in [
        (1000, 900),
        (10_000, 9000),
        (300_000, 270_000),
        (3_600_000, 3_540_000),
    ] {
        let answer =
            json!({ "access_token": "new", "refresh_token": "r", "expires_in_ms": lifetime });
        let standing = SessionState::new(account(json!({})));
        let (settled, ..) = renew(&standing, RenewalReason::Requested, &[done(200, &answer)]);
        let account = settled.account();
        assert!(!account.is_due(at(NOW + due - 1)), "{lifetime}");
        assert!(account.is_due(at(NOW + due)), "{lifetime}");
        assert!(!account.has_expired(at(NOW + lifetime - 1)));
    }
    assert!(!account(json!({})).is_due(at(u64::MAX)), "it has no end");
    let without = account(json!({ "refresh_token": null, "expires_at": NOW }));
    assert!(
        !without.is_due(at(NOW)),
        "there is nothing to renew it with"
    );
}

#[test]
fn soft_logout_keeps_the_device() {
    for (soft_logout, device) in [(true, Some("D")), (false, None)] {
        for refresh_token in [Value::Null, json!("ref")] {
            let standing = SessionState::new(account(json!({ "refresh_token": refresh_token })));
            let reason = RenewalReason::Refused { soft_logout };
            let answers = [done(403, &json!({ "errcode": "M_FORBIDDEN" }))];
            let (settled, commits, _) = renew(&standing, reason, &answers);
            assert_eq!(commits.len(), 1);
            assert_eq!(settled.account().device_id.as_deref(), device);
            assert_eq!(settled.account().access_token, None);
            match settled.result.unwrap_err() {
                SessionError::SoftLogout { device_id, .. } => {
                    assert_eq!(device_id.as_deref(), device)
                }
                SessionError::SignedOut { .. } => assert_eq!(device, None),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn valid_access_token_keeps_the_session() {
    let due = json!({ "expires_at": NOW + 100, "renew_at": NOW });
    let mut standing = SessionState::new(account(due));
    let refusal = [done(403, &json!({ "errcode": "M_FORBIDDEN" }))];
    let ok = done(200, &json!({}));
    let mut requests = 0;
    let called = call(&mut standing, NOW, std::slice::from_ref(&ok), |standing| {
        let (settled, commits, sent) = renew(standing, RenewalReason::Due, &refusal);
        assert!(commits.is_empty());
        requests += sent;
        standing.apply(&settled);
        settled.result
    });
    assert_eq!(called.result.unwrap(), ok);
    assert_eq!((called.sent, requests), (vec!["old".to_owned()], 1));
    // The next call does not ask for it again.
    let called = call(&mut standing, NOW + 10, &[ok], no_renewal);
    assert_eq!(called.sent, ["old"]);
    assert!(called.result.is_ok());
}

#[test]
fn failed_renewal_backs_off() {
    let mut standing = SessionState::new(account(json!({})));
    let refused = RenewalReason::Refused { soft_logout: false };
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let (settled, _, requests) = renew(&standing, refused, &[done(404, &json!({}))]);
        standing.apply(&settled);
        // All renewals here begin at the same moment: only the first one asks.
        pauses.push(requests);
    }
    assert_eq!(pauses, [1, 0, 0, 0, 0, 0, 0, 0]);
    let (settled, _, requests) = renew(
        &standing,
        RenewalReason::Requested,
        &[done(404, &json!({}))],
    );
    assert!(settled.result.is_err());
    assert_eq!(requests, 1, "who asks for it gets it");
}

#[test]
fn refused_call_is_retried_once() {
    let renewed = |standing: &mut SessionState| {
        standing.replace(account(json!({ "access_token": "new" })));
        Ok(())
    };
    let mut standing = SessionState::new(account(json!({})));
    let ok = done(200, &json!({}));
    let answers = [unknown_token(true), ok.clone()];
    let called = call(&mut standing, NOW, &answers, renewed);
    assert_eq!(called.sent, ["old", "new"]);
    assert_eq!(
        called.renewals,
        [RenewalReason::Refused { soft_logout: true }]
    );
    assert_eq!(called.result.unwrap(), ok);
    let mut standing = SessionState::new(account(json!({})));
    let answers = [unknown_token(true), unknown_token(false)];
    let called = call(&mut standing, NOW, &answers, renewed);
    assert_eq!(called.sent, ["old", "new"]);
    assert_eq!(called.result.unwrap(), unknown_token(false));
}

#[test]
fn locked_account_keeps_its_session() {
    let mut standing = SessionState::new(account(json!({})));
    let body = json!({ "errcode": "M_USER_LOCKED", "error": "locked", "soft_logout": true });
    let locked = [done(401, &body)];
    let is_locked = |called: &Called| matches!(called.result, Err(SessionError::UserLocked { .. }));
    let mut probes = Vec::new();
    for second in 0..3600 {
        let called = call(&mut standing, NOW + second * 1000, &locked, no_renewal);
        assert!(is_locked(&called));
        if !called.sent.is_empty() {
            probes.push(second);
        }
    }
    assert_eq!(
        probes,
        [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]
    );
    assert_eq!(standing.account(), &account(json!({})));
    let ok = [done(200, &json!({}))];
    let after = NOW + 4000 * 1000;
    assert!(call(&mut standing, after, &ok, no_renewal).result.is_ok());
    // It is locked no more.
    assert_eq!(call(&mut standing, after, &ok, no_renewal).sent, ["old"]);
}

#[test]
fn suspended_account_keeps_its_session() {
    let mut standing = SessionState::new(account(json!({})));
    let body = json!({ "errcode": "M_USER_SUSPENDED", "error": "be good" });
    let called = call(&mut standing, NOW, &[done(403, &body)], no_renewal);
    let error = called.result.unwrap_err();
    assert_eq!(
        error.to_string(),
        "https://e.org has suspended @a:e.org, who may not do this: \"be good\"; ask its administrators"
    );
    assert_eq!(standing.account(), &account(json!({})));
}

#[test]
fn renewal_preserves_other_account_fields() {
    let mut otherwise = account(json!({ "password": "changed meanwhile" }));
    for device in ["D", "E"] {
        let before = account(json!({}));
        let mut renewal = Renewal::new(RenewalReason::Requested, before.access_token.clone());
        let mut entropy = SeededEntropy::new(1);
        let mut step = |input| renewal.step(&mut StepContext::new(at(NOW), &mut entropy), input);
        let mut inputs = vec![
            RenewalInput::Start,
            RenewalInput::ProcessLocked(Box::new(SessionState::new(before.clone()))),
            RenewalInput::StoreLocked,
            RenewalInput::Stored(Some(Box::new(before))),
        ];
        let answer = json!({ "access_token": "new", "refresh_token": "ref2" });
        inputs.push(RenewalInput::Outcome(done(200, &answer)));
        for input in inputs {
            assert!(step(input).writes.is_empty());
        }
        if device == "E" {
            otherwise.device_id = Some("E".to_owned());
            otherwise.access_token = Some("signed in anew".into());
        }
        let last = step(RenewalInput::Stored(Some(Box::new(otherwise.clone()))));
        let Some(RenewalEvent::Finished(settled)) = last.events.into_iter().next() else {
            panic!("it goes on")
        };
        assert_eq!(settled.account().password, Some("changed meanwhile".into()));
        let token = settled.account().access_token.clone();
        match device {
            "D" => assert_eq!((token, last.writes.is_empty()), (Some("new".into()), false)),
            _ => assert_eq!(settled.account(), &otherwise),
        }
    }
}

#[test]
fn ended_session_sends_nothing() {
    let mut standing = SessionState::new(account(json!({ "access_token": null })));
    let called = call(&mut standing, NOW, &[], no_renewal);
    assert!(matches!(
        called.result,
        Err(SessionError::NotSignedIn { .. })
    ));
    assert!(called.sent.is_empty());
}

/// A success without a token does not count: the old pair stays.
#[test]
fn empty_access_token_is_not_taken() {
    for empty in ["", " ", "\n"] {
        let answer = json!({ "access_token": empty, "token_type": "Bearer" });
        for account in [account(json!({})), of_oauth()] {
            let standing = SessionState::new(account.clone());
            let answers = [(); 4].map(|()| done(200, &answer));
            let (settled, ..) = renew(&standing, RenewalReason::Requested, &answers);
            assert!(settled.result.is_err(), "{empty:?}");
            assert_eq!(settled.account(), &account, "{empty:?}");
        }
    }
}

/// New tokens without a refresh token that can be used: the last one stays, and gets the next pair.
#[test]
fn unusable_refresh_token_keeps_the_last() {
    let good = json!({ "access_token": "new", "token_type": "Bearer", "expires_in": 300 });
    let mut without_type = good.clone();
    without_type.as_object_mut().unwrap().remove("token_type");
    let mut answers = vec![good.clone(), without_type];
    for odd in [
        json!(null),
        json!(""),
        json!(" "),
        json!("\n"),
        json!(5),
        json!(false),
        json!({}),
        json!([]),
    ] {
        let mut answer = good.clone();
        answer["refresh_token"] = odd;
        answers.push(answer);
    }
    for account in [account(json!({})), of_oauth()] {
        for answer in &answers {
            let standing = SessionState::new(account.clone());
            let (settled, ..) = renew(&standing, RenewalReason::Requested, &[done(200, answer)]);
            assert_eq!(settled.result, Ok(()), "{answer}");
            let renewed = settled.account();
            assert_eq!(renewed.access_token, Some("new".into()), "{answer}");
            assert_eq!(renewed.refresh_token, Some("ref".into()), "{answer}");
            assert_eq!(renewed.previous_refresh_token, None, "{answer}");

            let standing = SessionState::new(renewed.clone());
            let next = json!({
                "access_token": "newer", "token_type": "Bearer", "refresh_token": "ref2",
            });
            let (settled, ..) = renew(&standing, RenewalReason::Requested, &[done(200, &next)]);
            let renewed = settled.account();
            assert_eq!(renewed.refresh_token, Some("ref2".into()), "{answer}");
        }
    }
}
