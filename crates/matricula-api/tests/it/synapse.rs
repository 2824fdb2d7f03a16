//! The admin API of Synapse: requests, masking, and preserved fields.

use matricula_api::{
    Endpoint,
    synapse::{
        CreateRegistrationToken, DeactivateUser, DeleteRegistrationToken, FindUserByAddress,
        GetNonce, GetUser, ListRegistrationTokens, ListUsers, PutUser, RegisterBySecret,
        RegistrationToken, User, UserChange,
    },
    unspecified,
};
use matricula_core::{Body, Job, OperationAuth, Response, ServerUrl};
use serde_json::{Value, json};

const CANARY: &str = "canary";

fn job(request: &impl Endpoint) -> Job {
    let server: ServerUrl = "https://matrix.example.org".parse().unwrap();
    request.job(&server)
}

fn line(request: &impl Endpoint) -> String {
    let job = job(request);
    let path = job
        .url()
        .strip_prefix("https://matrix.example.org")
        .unwrap()
        .to_owned();
    let query: Vec<_> = job
        .request_query()
        .iter()
        .map(|(name, value)| format!("?{name}={value}"))
        .collect();
    format!("{} {path}{}", job.request_method(), query.concat())
}

#[test]
fn requests_use_the_paths_of_synapse() {
    let user_id = || "@b/ob:example.org".parse().unwrap();
    let user = UserChange::default();
    let lines = [
        line(&GetNonce),
        line(&RegisterBySecret::new("n", "u", "p", "m")),
        line(&GetUser { user_id: user_id() }),
        line(&ListUsers::default()),
        line(&ListUsers {
            from: Some("100".into()),
            limit: Some(5),
            name: Some("al".into()),
            deactivated: Some(true),
        }),
        line(&PutUser {
            user_id: user_id(),
            user,
        }),
        line(&DeactivateUser {
            user_id: user_id(),
            erase: false,
        }),
        line(&FindUserByAddress {
            medium: "email".to_owned(),
            address: "b/ob@example.org".to_owned(),
        }),
        line(&CreateRegistrationToken::default()),
        line(&ListRegistrationTokens::default()),
        line(&ListRegistrationTokens { valid: Some(false) }),
        line(&DeleteRegistrationToken {
            token: "../a".into(),
        }),
    ];
    assert_eq!(
        lines,
        [
            "GET /_synapse/admin/v1/register",
            "POST /_synapse/admin/v1/register",
            "GET /_synapse/admin/v2/users/%40b%2Fob%3Aexample.org",
            "GET /_synapse/admin/v2/users",
            "GET /_synapse/admin/v2/users?from=100?limit=5?name=al?deactivated=true",
            "PUT /_synapse/admin/v2/users/%40b%2Fob%3Aexample.org",
            "POST /_synapse/admin/v1/deactivate/%40b%2Fob%3Aexample.org",
            "GET /_synapse/admin/v1/threepid/email/users/b%2Fob%40example.org",
            "POST /_synapse/admin/v1/registration_tokens/new",
            "GET /_synapse/admin/v1/registration_tokens",
            "GET /_synapse/admin/v1/registration_tokens?valid=false",
            "DELETE /_synapse/admin/v1/registration_tokens/..%2Fa",
        ]
    );
}

#[test]
fn admin_requests_take_admin_token() {
    let (_, operations) = unspecified::OPERATIONS
        .iter()
        .find(|(name, _)| *name == "synapse")
        .unwrap();
    for operation in *operations {
        let is_by_secret = operation.path.ends_with("/v1/register");
        let auth = if is_by_secret {
            OperationAuth::None
        } else {
            OperationAuth::Required
        };
        assert_eq!(operation.auth, auth, "{}", operation.id);
    }
    assert_eq!(operations.len(), 10);
}

#[test]
fn secrets_of_admin_api_are_masked() {
    let registration = RegisterBySecret::new("n", "u", CANARY, CANARY).admin(true);
    let user = PutUser {
        user_id: "@b:example.org".parse().unwrap(),
        user: UserChange::default().password(CANARY),
    };
    let token = CreateRegistrationToken::default().token(CANARY);
    for (debug, job) in [
        (format!("{registration:?}"), job(&registration)),
        (format!("{user:?}"), job(&user)),
        (format!("{token:?}"), job(&token)),
    ] {
        assert!(!debug.contains(CANARY), "{debug}");
        assert!(
            job.request_body()
                .as_bytes()
                .windows(CANARY.len())
                .any(|part| part == CANARY.as_bytes())
        );
        assert!(!job.masked_body().contains(CANARY), "{}", job.masked_body());
        assert!(job.holds_secret());
    }
    let deletion = DeleteRegistrationToken {
        token: CANARY.into(),
    };
    assert!(!format!("{deletion:?}").contains(CANARY));
}

#[test]
fn synapse_responses_are_preserved() {
    let answer = json!({
        "name": "@bob:example.org", "displayname": null, "admin": true, "creation_ts": 1_700_000_000,
        "threepids": [], "locked": false,
    });
    let response = Response::new(200, vec![], Body::Json(answer.to_string()));
    let user = GetUser::read(&response).unwrap();
    assert_eq!(
        (user.admin, user.displayname.as_deref()),
        (Some(true), None)
    );
    assert_eq!(user.extra.get("threepids"), Some(&json!([])));
    let written: Value = serde_json::to_value(&user).unwrap();
    assert_eq!(serde_json::from_value::<User>(written).unwrap(), user);

    let answer = r#"{"token":"t","uses_allowed":null,"pending":0,"completed":2,"expiry_time":null,"by":"x"}"#;
    let token: RegistrationToken = serde_json::from_str(answer).unwrap();
    assert_eq!(
        (token.uses_allowed, token.completed, token.expiry_time),
        (None, Some(2), None)
    );
    assert_eq!(token.extra.get("by"), Some(&json!("x")));
}

#[test]
fn odd_user_does_not_hide_the_others() {
    let list = r#"{"users": [
        {"name": "@a:b.test", "admin": true, "creation_ts": 1},
        {"name": "no user id"},
        {"name": "@c:b.test", "displayname": null}
    ], "next_token": "3", "total": 9}"#;
    let response = Response::new(200, Vec::new(), Body::Json(list.into()));
    let page = ListUsers::read(&response).unwrap();
    let names: Vec<&str> = page.users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["@a:b.test", "@c:b.test"]);
    assert_eq!(
        (page.total, page.next_token.as_deref()),
        (Some(9), Some("3"))
    );
    assert_eq!(page.users.invalid().len(), 1);
}
