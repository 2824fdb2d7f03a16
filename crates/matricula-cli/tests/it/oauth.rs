//! Accounts that are made on a page of an OAuth 2.0 server.

use serde_json::json;

use crate::{
    browser::Browser,
    command::Home,
    issuer::{self, Faults, fields},
    scripted_browser::{follow, visit},
};

#[test]
fn page_callback_makes_the_account() {
    let (home, server) = (Home::new(), issuer::start(Faults::default()));
    let browser = Browser::new(&home);
    let line = format!("register {} --method oauth --json", server.url);
    let ended = browser
        .run(home.command(&line), |url| {
            // Other users see what programs are started with: no secret is in it, and it leads to
            // the page only once.
            assert!(url.starts_with("http://127.0.0.1:"), "{url}");
            assert!(!url.contains("state"), "{url}");
            let way_in = visit(url);
            assert_eq!(way_in.status, 303);
            assert_eq!(visit(url).status, 410);
            let end = follow(way_in.location());
            assert_eq!(end.status, 200);
            assert!(end.body.contains("Your answer has arrived"), "{}", end.body);
        })
        .exit(0);
    let json = ended.json();
    assert_eq!(json["user_id"], "@new:b.test");
    assert_eq!(json["route"]["stages"], json!(["m.oauth"]));
    assert!(ended.stderr.contains("route: m.oauth ("), "{ended}");
    assert_eq!(browser.opened().len(), 1);
    let account = home.account();
    assert_eq!(account["access_token"], "acc");
    assert_eq!(account["refresh_token"], "ref");
    let asked = server.requests();
    let page = asked.iter().find(|one| one.path == "/authorize").unwrap();
    let page = fields(&page.query);
    assert_eq!(page["prompt"], "create");
    let redeemed = asked.iter().find(|one| one.path == "/token").unwrap();
    assert_eq!(redeemed.form["redirect_uri"], page["redirect_uri"]);
    assert!(!asked.iter().any(|one| one.path.ends_with("/register")));
    home.run("logout").exit(0);
    assert_eq!(server.requests().last().unwrap().path, "/revoke");
}

#[test]
fn client_is_registered_before_each_page() {
    let (home, server) = (Home::new(), issuer::start(Faults::default()));
    let browser = Browser::new(&home);
    for _ in 0..2 {
        let line = format!("register {} --method oauth", server.url);
        let visit = |url: &str| assert_eq!(follow(url).status, 200);
        browser.run(home.command(&line), visit).exit(0);
    }
    let asked = server.requests();
    let introduced = asked.iter().filter(|one| one.path == "/clients");
    assert_eq!(introduced.count(), 2);
}

#[test]
fn pending_login_resumes_in_another_process() {
    let (home, server) = (Home::new(), issuer::start(Faults::default()));
    let browser = Browser::new(&home);
    let line = format!("register {} --no-input --json", server.url);
    let waits = home.run(&line).exit(6).json();
    let error = &waits["error"];
    assert_eq!(error["kind"], "person_needed");
    assert_eq!(error["stage"], "m.oauth");
    assert_eq!(error["session"], json!(null));
    let url = error["url"].as_str().unwrap();
    assert!(
        url.starts_with(&format!("{}/authorize?", server.url)),
        "{url}"
    );
    let id = error["resume"].as_str().unwrap();
    let told = home.run("register --no-input").exit(0).stderr;
    assert!(told.contains(&format!("register --resume {id}")), "{told}");
    let line = home.command(&format!("register --resume {id}"));
    let ended = browser.run(line, |url| assert_eq!(follow(url).status, 200));
    assert_eq!(
        ended.exit(0).stdout,
        "registered @new:b.test on device LAPTOP\n"
    );
    home.run(&format!("register --resume {id}")).exit(2);
}

#[test]
fn callback_address_can_be_pasted() {
    let (home, server) = (Home::new(), issuer::start(Faults::default()));
    let line = format!("register {} --paste --json", server.url);
    // No address is pasted.
    let waits = home.run(&line).exit(6).json();
    let url = waits["error"]["url"].as_str().unwrap();
    let id = waits["error"]["resume"].as_str().unwrap();
    let back = visit(url).location().to_owned();
    let line = home.command(&format!("register --resume {id} --paste"));
    let wrong = back.replace("state=", "state=x");
    let ended = line.stdin(&format!("{wrong}\n{back}\n")).run().exit(0);
    assert!(ended.stderr.contains(url), "{ended}");
    let again = "the browser came back with the answer to another request";
    assert!(ended.stderr.contains(again), "{ended}");
    assert_eq!(home.account()["user_id"], "@new:b.test");
}

#[test]
fn foreign_callback_is_rejected() {
    let (home, server) = (Home::new(), issuer::start(Faults::default()));
    let browser = Browser::new(&home);
    let line = format!("register {} --method oauth", server.url);
    browser
        .run(home.command(&line), |url| {
            let page = visit(url).location().to_owned();
            let back = visit(&page).location().to_owned();
            for wrong in [
                "state=forged&",
                "",
                "state=forged&error=access_denied&state=",
            ] {
                let forged = format!("{}?{wrong}code=forged", back.split_once('?').unwrap().0);
                let seen = visit(&forged);
                assert_eq!(seen.status, 400, "{forged}");
                assert!(!seen.body.contains("forged"), "{}", seen.body);
            }
            assert_eq!(visit(&back).status, 200);
        })
        .exit(0);
    let asked = server.requests();
    let redeemed: Vec<_> = asked.iter().filter(|one| one.path == "/token").collect();
    assert_eq!(redeemed.len(), 1);
    assert_eq!(redeemed[0].form["code"], "the-code");
}

#[test]
fn a_page_that_refuses_says_why() {
    for (refusal, code, words) in [
        (
            "error=access_denied&error_description=No+beds+left",
            7,
            "access_denied: No beds left; begin again, and allow it on its page",
        ),
        (
            "error=temporarily_unavailable",
            3,
            "temporarily_unavailable; try again later",
        ),
        ("error=server_error", 3, "server_error; try again later"),
        ("error=invalid_scope", 7, "invalid_scope; begin again"),
    ] {
        let page = Some(refusal);
        let server = issuer::start(Faults {
            page,
            ..Faults::default()
        });
        let home = Home::new();
        let line = home.command(&format!("register {} --method oauth", server.url));
        let ended = Browser::new(&home).run(line, |url| {
            let end = follow(url);
            assert_eq!(end.status, 200);
            assert!(
                end.body.contains("did not let the program in"),
                "{}",
                end.body
            );
            assert!(!end.body.contains("No beds"), "{}", end.body);
        });
        assert_eq!(ended.code(), Some(code), "{ended}");
        assert!(ended.stderr.contains(words), "{ended}");
    }
}

#[test]
fn refused_client_shows_server_message() {
    let words = "client_uri must be on the list of the night watch";
    let refusal = json!({ "error": "invalid_client_metadata", "error_description": words });
    let clients = Some((400, refusal));
    let server = issuer::start(Faults {
        clients,
        ..Faults::default()
    });
    let home = Home::new();
    let ended = home.run(&format!("register {} --method oauth", server.url));
    assert!(ended.exit(7).stderr.contains(words));
}

#[test]
fn rejected_code_is_reported() {
    // Replayed, expired, or with a verifier that is not the page's: the server has one word for it.
    let refusal = json!({ "error": "invalid_grant", "error_description": "wrong verifier" });
    let tokens = Some((400, refusal));
    let server = issuer::start(Faults {
        tokens,
        ..Faults::default()
    });
    let home = Home::new();
    let line = home.command(&format!("register {} --method oauth --json", server.url));
    let ended = Browser::new(&home).run(line, |url| assert_eq!(follow(url).status, 200));
    let message = ended.exit(7).json()["error"]["message"].clone();
    let message = message.as_str().unwrap();
    assert!(
        message.contains("invalid_grant: wrong verifier"),
        "{message}"
    );
    assert_eq!(home.store()["tables"]["oauth_logins"], json!({}));
}
