//! A sign-in at an OAuth 2.0 server whose answers are lost, or whose process ends, at every point.

use matricula_auth::{Answer, OAuthLogin, Progress, tables};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    oauth::{
        asked, come_back, form, is_kept, login, metadata, owner, page, redeeming, refusal, tokens,
    },
    oauth_device::code,
    talk::{Talk, transport_error},
};

/// What the store holds of it, in another process.
pub(crate) fn reload(talk: &Talk<OAuthLogin>) -> OAuthLogin {
    let changes = talk.commits.iter().flat_map(|commit| commit.writes());
    let mut changes = changes.filter(|change| change.table == tables::OAUTH_LOGINS);
    let last = changes.next_back().unwrap();
    OAuthLogin::from_stored(last.value.as_deref().unwrap()).unwrap()
}

/// The process ends and another goes on.
fn crash(talk: &mut Talk<OAuthLogin>) {
    *talk = Talk::start(reload(talk));
}

#[test]
fn a_process_that_ends_between_any_two_steps_is_gone_on_with() {
    for ends_at in 0..=5 {
        let mut talk = Talk::start(login());
        let mut device = None;
        for at in 0..=4 {
            if at == ends_at {
                crash(&mut talk);
            }
            match at {
                0 => _ = talk.answer(200, &metadata()),
                1 => _ = talk.answer(201, &json!({ "client_id": "c1" })),
                2 => {
                    device = page(&talk)
                        .split("device%3A")
                        .nth(1)
                        .map(|rest| rest[..10].to_owned());
                    come_back(&mut talk, "code=xyz");
                }
                3 => _ = talk.answer(200, &tokens()),
                _ => {
                    _ = talk.answer(
                        200,
                        &json!({ "user_id": "@alice:example.org", "device_id": null }),
                    )
                }
            }
        }
        let account = talk.ok();
        assert_eq!(account.access_token, Some("acc".into()), "{ends_at}");
        assert_eq!(account.device_id, device, "{ends_at}: one device all along");
    }
}

#[test]
fn what_proves_who_asked_is_stored_before_the_page_is_shown() {
    let talk = asked(login());
    let state = crate::oauth::on_page(&talk, "state").unwrap();
    let stored = talk.commits.last().unwrap().writes().last().unwrap();
    let text = String::from_utf8(stored.value.clone().unwrap()).unwrap();
    assert!(text.contains(&state));
}

#[test]
fn a_lost_answer_with_tokens_is_asked_for_once_more() {
    let mut talk = redeeming();
    let first = form(talk.job(), "code_verifier");
    talk.lose();
    assert_eq!(form(talk.job(), "code_verifier"), first);
    talk.answer(200, &tokens()).answer(200, &owner());
    assert_eq!(talk.ok().access_token, Some("acc".into()));
}

#[test]
fn a_code_that_was_used_up_by_the_lost_request_leads_to_a_new_page() {
    for crashes in [false, true] {
        let mut talk = asked(login());
        let first = page(&talk);
        come_back(&mut talk, "code=xyz");
        match crashes {
            true => crash(&mut talk),
            false => _ = talk.lose(),
        }
        talk.answer(400, &refusal("invalid_grant"));
        assert_ne!(page(&talk), first, "{crashes}");
        assert!(matches!(&talk.notices[..], [.., Progress::Route { .. }]));
        come_back(&mut talk, "code=abc");
        talk.answer(200, &tokens()).answer(200, &owner());
        assert!(talk.ok().oauth.is_some());
    }
}

#[test]
fn where_tokens_cannot_be_got_now_the_code_is_kept() {
    let endings: [fn(&mut Talk<OAuthLogin>); 5] = [
        |talk| _ = talk.lose().lose(),
        |talk| {
            _ = talk.outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )))
        },
        |talk| _ = talk.answer(503, &json!({})).answer(503, &json!({})),
        |talk| _ = talk.answer(429, &json!({ "errcode": "M_LIMIT_EXCEEDED" })),
        |talk| _ = talk.outcome(Outcome::Cancelled),
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut talk = redeeming();
        ending(&mut talk);
        talk.error();
        assert!(is_kept(&talk), "{at}");
        crash(&mut talk);
        assert_eq!(form(talk.job(), "code").as_deref(), Some("xyz"), "{at}");
    }
}

#[test]
fn tokens_whose_owner_is_not_known_yet_are_kept() {
    let endings: [fn(&mut Talk<OAuthLogin>); 4] = [
        |talk| _ = talk.lose(),
        |talk| _ = talk.answer(502, &json!({})),
        |talk| _ = talk.answer(429, &json!({})),
        |talk| {
            _ = talk.answer(
                401,
                &json!({ "errcode": "M_USER_LOCKED", "soft_logout": true }),
            )
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut talk = redeeming();
        talk.answer(200, &tokens());
        ending(&mut talk);
        assert!(is_kept(&talk), "{at}: {}", talk.error());
        crash(&mut talk);
        talk.answer(200, &owner());
        assert_eq!(talk.ok().refresh_token, Some("ref".into()), "{at}");
    }
}

#[test]
fn tokens_that_are_not_good_any_more_lead_to_a_new_page() {
    let mut talk = redeeming();
    talk.answer(200, &tokens())
        .answer(401, &json!({ "errcode": "M_UNKNOWN_TOKEN" }));
    assert!(talk.is_asking());
}

#[test]
fn no_secret_is_in_any_debug_or_error_and_only_secret_tables_hold_them() {
    let mut talk = asked(login());
    let state = crate::oauth::on_page(&talk, "state").unwrap();
    let mut seen = format!("{:?}{:?}", talk.conversation, talk.question());
    talk.reply(Answer::Text(
        format!("http://127.0.0.1/?state={state}&code=c0d3").into(),
    ));
    let verifier = form(talk.job(), "code_verifier").unwrap();
    seen += &format!("{:?}{:?}", talk.conversation, talk.job());
    seen += &talk.job().masked_body();
    talk.answer(
        200,
        &json!({ "access_token": "acc3ss", "refresh_token": "r3fr3sh", "token_type": "Bearer" }),
    );
    seen += &format!("{:?}{:?}", talk.conversation, talk.job());
    talk.lose();
    seen += &format!("{:?}{}", talk.error(), talk.error());
    seen += &format!("{:?}{:?}", talk.commits, talk.notices);
    crash(&mut talk);
    talk.answer(200, &owner());
    seen += &format!("{:?}{:?}", talk.ok(), talk.commits);
    let mut nobody = asked(login());
    let other = crate::oauth::on_page(&nobody, "state").unwrap();
    nobody.reply(Answer::Unavailable);
    seen += &format!("{:?}{}", nobody.error(), nobody.error());
    for secret in [&state, &verifier, &other, "c0d3", "acc3ss", "r3fr3sh"] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    let tables = talk.commits.iter().flat_map(|commit| commit.writes());
    for change in tables {
        assert!([tables::ACCOUNTS, tables::OAUTH_LOGINS].contains(&&*change.table));
    }
}

fn any_answer() -> impl Strategy<Value = (u16, Value)> {
    let error = prop_oneof![
        Just("invalid_client"),
        Just("invalid_grant"),
        Just("authorization_pending"),
        Just("slow_down"),
        Just("server_error"),
        Just("x"),
    ];
    prop_oneof![
        1 => Just((200, metadata())),
        1 => Just((201, json!({ "client_id": "c" }))),
        3 => Just((200, code())),
        1 => Just((200, tokens())),
        1 => Just((200, owner())),
        3 => (400u16..600, error).prop_map(|(status, code)| (status, refusal(code))),
        1 => Just((401, json!({ "errcode": "M_UNKNOWN_TOKEN" }))),
        1 => (200u16..600).prop_map(|status| (status, json!([]))),
    ]
}

proptest! {
    /// Whatever the servers answer, the person says and the network loses, it ends.
    #[test]
    fn it_always_ends(
        answers in prop::collection::vec((any_answer(), 0u8..8), 1..12),
        on_device: bool,
    ) {
        let login = match on_device {
            true => crate::oauth_device::login(),
            false => login(),
        };
        let mut talk = Talk::start(login);
        talk.answer(200, &metadata()).answer(201, &json!({ "client_id": "c1" }));
        let mut turns = 0;
        for ((status, body), luck) in answers.iter().cycle() {
            if talk.result.is_some() {
                break;
            }
            turns += 1;
            prop_assert!(turns < 8000, "no end: {:?}", &talk.requests[..20]);
            if talk.is_asking() {
                match luck {
                    0 => _ = talk.reply(Answer::Unavailable),
                    1 => _ = talk.reply(Answer::No),
                    2 => _ = talk.reply(Answer::Text("x".into())),
                    _ => come_back(&mut talk, "code=xyz"),
                }
            } else if talk.is_waiting() {
                talk.wake();
            } else if *luck == 7 {
                talk.lose();
            } else {
                talk.answer(*status, body);
            }
        }
    }
}
