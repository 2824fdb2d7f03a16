//! The ways in beside registering as a stranger, with the library on real Synapse servers.

use matricula::{
    Error, NoStore, Session,
    api::{
        ApiError, Endpoint,
        client::whoami::{GetTokenOwner, GetTokenOwnerResponse},
        masquerade_as,
        synapse::{
            CreateRegistrationToken, DeleteRegistrationToken, GetUser, ListRegistrationTokens,
        },
    },
    auth::{Answer, AuthError, CreateUser, NewUser, Prompt},
    job::Secret,
    register, send, upgrade,
};

use crate::live::{Synapse, unique};

const PROFILE: &str = "appservice+logintoken+sso";

async fn me(session: &Session) -> GetTokenOwnerResponse {
    session.call(GetTokenOwner::default()).await.unwrap()
}

fn nobody(_: &Prompt) -> Answer {
    Answer::Unavailable
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
        old.call(GetTokenOwner::default()).await.is_err(),
        "the guest's session is over"
    );
    // Of one guest one user: the token is dead.
    let again = upgrade(&guest).unwrap().await;
    assert!(
        matches!(again, Err(Error::Auth(AuthError::GuestNotUpgraded { .. }))),
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
            Err(Error::Auth(AuthError::OutsideNamespace { .. }))
        ),
        "{outside:?}"
    );
    let unknown = register(server.url()).as_service("wrong", &name).await;
    assert!(
        matches!(unknown, Err(Error::Auth(AuthError::ServiceUnknown { .. }))),
        "{unknown:?}"
    );
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn where_its_users_get_no_sessions_it_acts_as_them() {
    let server = Synapse::of(PROFILE);
    let token = server.told("/appservice/sessionless/as_token");
    let user = register(server.url())
        .as_service(token, format!("phantom_{}", unique()))
        .await
        .unwrap();
    let account = user.account();
    assert_eq!(account.access_token, None);
    let job = GetTokenOwner::default()
        .job(&account.server)
        .with_token(token.into());
    let job = masquerade_as(job, &account.user_id, None);
    let answer = send(user.runner(), job, |_| {}).await.unwrap();
    let found = GetTokenOwner::read(&answer).unwrap();
    assert_eq!(found.user_id, account.user_id);
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn who_runs_a_closed_server_makes_accounts_there() {
    let server = Synapse::of("closed");
    let secret = server.told("/shared_secret");
    let admin = register(server.url())
        .by_shared_secret(secret, unique())
        .admin()
        .await
        .unwrap();
    let wrong = register(server.url())
        .by_shared_secret("another", unique())
        .await;
    assert!(
        matches!(wrong, Err(Error::Auth(AuthError::SharedSecretWrong { .. }))),
        "{wrong:?}"
    );
    let account = admin.account();
    let request = GetUser {
        user_id: account.user_id.clone(),
    };
    assert_eq!(admin.call(request).await.unwrap().admin, Some(true));
    let user_id = format!("@{}:{}", unique(), account.user_id.server_name());
    let password = Secret::from("a-Good-1-for-all");
    for is_new in [true, false] {
        let mut creation =
            CreateUser::new(&account, user_id.parse().unwrap()).with_password(password.clone());
        let made = admin
            .run(&mut creation, &mut NoStore, &mut nobody)
            .await
            .unwrap();
        assert_eq!(matches!(made, NewUser::Made(_)), is_new, "{made:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn an_administrator_hands_out_tokens() {
    let server = Synapse::of("token");
    let admin = register(server.url())
        .by_shared_secret(server.told("/shared_secret"), unique())
        .admin()
        .await
        .unwrap();
    let request = CreateRegistrationToken::default().uses_allowed(1);
    let token = admin.call(request).await.unwrap().token;
    register(server.url()).token(token.clone()).await.unwrap();
    let list = admin.call(ListRegistrationTokens::default()).await.unwrap();
    let listed = list.registration_tokens.into_iter();
    let used = listed.filter(|one| one.token == token).collect::<Vec<_>>();
    assert_eq!(used.len(), 1);
    assert_eq!(
        (used[0].uses_allowed, used[0].completed),
        (Some(1), Some(1))
    );
    let request = DeleteRegistrationToken { token };
    admin.call(request.clone()).await.unwrap();
    let gone = admin.call(request).await;
    assert!(
        matches!(&gone, Err(Error::Api(ApiError::Matrix(error))) if error.status == 404),
        "{gone:?}"
    );
}
