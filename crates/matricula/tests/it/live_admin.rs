//! Accounts and registration tokens that administrators create on real Synapse servers.

use matricula::{
    Error, NoStore,
    admin::{AdminError, CreateUser, CreateUserResult},
    api::{
        ApiError,
        synapse::{
            CreateRegistrationToken, DeleteRegistrationToken, GetUser, ListRegistrationTokens,
        },
    },
    auth::{Answer, Prompt},
    core::Secret,
    register,
};

use crate::live::{Synapse, unique};

fn no_prompts(_: &Prompt) -> Answer {
    Answer::Unavailable
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn shared_secret_registers_on_closed_server() {
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
        matches!(
            wrong,
            Err(Error::Admin(AdminError::SharedSecretWrong { .. }))
        ),
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
        let mut create =
            CreateUser::new(&account, user_id.parse().unwrap()).password(password.clone());
        let made = admin
            .run(&mut create, &mut NoStore, &mut no_prompts)
            .await
            .unwrap();
        assert_eq!(
            matches!(made, CreateUserResult::Created(_)),
            is_new,
            "{made:?}"
        );
    }
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn administrator_creates_registration_tokens() {
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
