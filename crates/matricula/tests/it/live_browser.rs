//! Ways in that lead through a browser, with the library on real servers: at an OAuth 2.0 server, and
//! by single sign-on.

use std::future::ready;

use matricula::{
    AnswerFuture, CallbackServer, Error, NoStore, PromptHandler, Session,
    api::{client::whoami::WhoAmI, oauth::ClientMetadata},
    auth::{Answer, Prompt, ServerInfo, SsoLogin},
    drive, register,
    runner::Runner,
};

use crate::{
    live::{Synapse, unique},
    scripted_browser::{sign_up, through_the_provider},
};

async fn owner(session: &Session) -> String {
    let me = session.call(WhoAmI::default()).await.unwrap();
    me.user_id.to_string()
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn register_at_an_oauth_server() {
    let (server, name) = (Synapse::of("oauth"), unique());
    let user_id = format!("@{name}:{}", server.told("/server_name"));
    let person = move |way_in: &str| {
        let end = sign_up(way_in, &name);
        assert!(end.body.contains("Your answer has arrived"), "{end:?}");
        Ok(())
    };
    let session = register(server.url())
        .in_browser_with(ClientMetadata::new("https://app.example/"), |browser| {
            browser.opener(person)
        })
        .await
        .unwrap();
    assert_eq!(owner(&session).await, user_id);
    let before = session.account();
    session.refresh().await.unwrap();
    assert_ne!(session.account().access_token, before.access_token);
    assert_eq!(owner(&session).await, user_id);
    let after = session.log_out().await.unwrap();
    assert_eq!(after.access_token, None);
}

/// A person whose browser is this one.
struct InBrowser(CallbackServer);

impl PromptHandler for InBrowser {
    fn answer(&mut self, prompt: &Prompt) -> AnswerFuture {
        let opened = self.0.answer(prompt);
        opened.unwrap_or_else(|| Box::pin(ready(Answer::Unavailable)))
    }
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn single_sign_on_registers_then_signs_in() -> Result<(), Error> {
    let (server, name) = (Synapse::of("appservice+logintoken+sso"), unique());
    let user_id = format!("@{name}:{}", server.told("/server_name"));
    let provider = server.told("/sso/issuer").to_owned();
    let facts = ServerInfo::of(server.url().parse().unwrap());
    let browser = CallbackServer::listen().await.map_err(Error::Browser)?;
    let back = browser.redirect_uri();
    let browser = browser.opener(move |way_in| {
        let end = through_the_provider(way_in, &provider, &name);
        assert!(end.body.contains("Your answer has arrived"), "{end:?}");
        Ok(())
    });
    let (runner, mut person) = (Runner::default(), InBrowser(browser));
    let ways = [
        SsoLogin::sign_up(&facts, &back),
        SsoLogin::new(&facts, &back),
    ];
    for mut way in ways {
        let account = drive(&mut way, &runner, &mut NoStore, &mut person).await?;
        let session = Session::new(account, runner.clone());
        assert_eq!(owner(&session).await, user_id);
        session.log_out().await?;
    }
    Ok(())
}
