//! A token is sent to its own origin only.

use matricula_core::{Auth, CredentialRef, Processed, Secret, ServerUrl, TransportErrorKind};
use matricula_http::Credentials;
use proptest::prelude::*;

use super::{run, runner};
use crate::{
    error, get, response,
    server::{Server, UnreachedServer, ok},
};

const ELSEWHERE: &str = "https://elsewhere.example";

fn alice() -> CredentialRef {
    CredentialRef::new("@alice:a.example/DEVICE")
}

#[test]
fn named_token_goes_to_its_origin() {
    for auth in [Auth::Required(alice()), Auth::Optional(alice())] {
        let server = Server::start([ok()]);
        let runner = runner();
        let credentials = runner.credentials();
        credentials.insert(alice(), server.url.clone(), "syt_alice".into());
        response(run(&runner, get(&server.url).with_auth(auth)));
        assert_eq!(
            server.request().header("authorization"),
            ["Bearer syt_alice"]
        );
    }
}

#[test]
fn runner_clones_share_tokens() {
    let server = Server::start([ok()]);
    let runner = runner();
    let clone = runner.clone();
    runner
        .credentials()
        .insert(alice(), server.url.clone(), "syt_alice".into());
    response(run(
        &clone,
        get(&server.url).with_auth(Auth::Required(alice())),
    ));
    assert_eq!(
        server.request().header("authorization"),
        ["Bearer syt_alice"]
    );
}

#[test]
fn missing_required_token_sends_nothing() {
    let server = UnreachedServer::new();
    let (runner, elsewhere) = (runner(), ELSEWHERE.parse::<ServerUrl>().unwrap());
    let fails = || {
        let job = get(&server.url).with_auth(Auth::Required(alice()));
        let error = error(run(&runner, job));
        assert_eq!(
            (error.kind, error.processed),
            (TransportErrorKind::MissingToken, Processed::No)
        );
        for part in [alice().as_str(), server.url.as_str(), "sign in"] {
            assert!(error.message.contains(part), "{error}");
        }
    };
    fails();
    runner
        .credentials()
        .insert(alice(), elsewhere, "syt_alice".into());
    fails();
    runner
        .credentials()
        .insert(alice(), server.url.clone(), "syt_alice".into());
    runner.credentials().remove(&alice());
    fails();
    server.assert();
}

#[test]
fn optional_token_stays_with_its_origin() {
    let server = Server::start([ok()]);
    let runner = runner();
    runner
        .credentials()
        .insert(alice(), ELSEWHERE.parse().unwrap(), "syt_alice".into());
    response(run(
        &runner,
        get(&server.url).with_auth(Auth::Optional(alice())),
    ));
    assert!(server.request().header("authorization").is_empty());
}

#[test]
fn inline_token_is_sent() {
    let server = Server::start([ok()]);
    response(run(
        &runner(),
        get(&server.url).with_token("syt_once".into()),
    ));
    assert_eq!(
        server.request().header("authorization"),
        ["Bearer syt_once"]
    );
}

proptest! {
    /// Appending anything to a server's address does not send its token to another server.
    #[test]
    fn no_path_changes_token_origin(
        path in "[@:/?#.\\\\%a-c0-9\\[\\] \t\n-]{0,10}|[@:./?#]?elsewhere\\.example[/:@]?",
        server in "https?://(a|a\\.example|127\\.0\\.0\\.1|\\[::1\\])(:[0-9]{1,3})?",
    ) {
        let Ok(server) = server.parse::<ServerUrl>() else {
            return Ok(());
        };
        let credentials = Credentials::default();
        credentials.insert(alice(), server.clone(), Secret::from("syt_alice"));
        let url = format!("{server}{path}");
        if credentials.token_for(&alice(), &url).is_some() {
            let url: url::Url = url.parse().unwrap();
            let server: url::Url = server.as_str().parse().unwrap();
            prop_assert_eq!(url.origin(), server.origin());
            prop_assert_eq!(url.username(), "");
        }
    }
}
