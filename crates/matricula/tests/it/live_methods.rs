//! The ways in beside registering as a stranger, with the library on real Synapse servers.

use matricula::{
    Error, Session,
    api::{
        Endpoint,
        client::whoami::{WhoAmI, WhoAmIResponse},
        masquerade_as,
    },
    auth::{AppserviceError, AuthError, RegisterError},
    register, send, upgrade,
};

use crate::live::{Synapse, unique};

const PROFILE: &str = "appservice+logintoken+sso";

async fn me(session: &Session) -> WhoAmIResponse {
    session.call(WhoAmI::default()).await.unwrap()
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn a_guest_becomes_a_user() {
    let old = register(Synapse::of("guests").url()).guest().await.unwrap();
    let guest = old.account();
    let user = upgrade(&guest).unwrap().await.unwrap();
    let found = me(&user).await;
    assert_eq!(found.user_id, guest.user_id);
    assert_ne!(found.is_guest, Some(true));
    assert_ne!(found.device_id, guest.device_id);
    assert!(user.account().password.is_some(), "a made one is kept");
    assert!(
        old.call(WhoAmI::default()).await.is_err(),
        "the guest's session is over"
    );
    // Of one guest one user: the token is dead.
    let again = upgrade(&guest).unwrap().await;
    assert!(
        matches!(
            again,
            Err(Error::Auth(AuthError::Register(
                RegisterError::GuestNotUpgraded { .. }
            )))
        ),
        "{again:?}"
    );
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn an_application_service_makes_its_users() {
    let server = Synapse::of(PROFILE);
    let token = server.told("/appservice/as_token");
    let name = format!("bridge_{}", unique());
    let user = register(server.url())
        .as_service(token, &name)
        .await
        .unwrap();
    assert_eq!(me(&user).await.user_id.localpart(), name);
    let outside = register(server.url()).as_service(token, unique()).await;
    assert!(
        matches!(
            outside,
            Err(Error::Auth(AuthError::Appservice(
                AppserviceError::OutsideNamespace { .. }
            )))
        ),
        "{outside:?}"
    );
    let unknown = register(server.url()).as_service("wrong", &name).await;
    assert!(
        matches!(
            unknown,
            Err(Error::Auth(AuthError::Appservice(
                AppserviceError::ServiceUnknown { .. }
            )))
        ),
        "{unknown:?}"
    );
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn service_acts_as_its_users() {
    let server = Synapse::of(PROFILE);
    let token = server.told("/appservice/sessionless/as_token");
    let user = register(server.url())
        .as_service(token, format!("phantom_{}", unique()))
        .await
        .unwrap();
    let account = user.account();
    assert_eq!(account.access_token, None);
    let job = WhoAmI::default()
        .job(&account.server)
        .with_token(token.into());
    let job = masquerade_as(job, &account.user_id, None);
    let answer = send(user.runner(), job).await.unwrap();
    let found = WhoAmI::read(&answer).unwrap();
    assert_eq!(found.user_id, account.user_id);
}
