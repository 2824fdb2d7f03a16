//! Secrets are masked in `Debug` output and in text for people.

use matricula_core::{Body, Response, Secret, WriteBatch, mask_json};

use matricula_core::{Job, Method};

use crate::{job, server};

const CANARY: &str = "canary-5b1f";

#[test]
fn debug_masks_secrets() {
    let body = || Body::Json(format!(r#"{{"password":"{CANARY}"}}"#));
    let mut batch = WriteBatch::default();
    batch.put("table", "key", CANARY);
    let shown = [
        format!("{:?}", Secret::from(CANARY)),
        format!("{:?}", job().with_token(CANARY.into()).with_body(body())),
        format!(
            "{:?}",
            job()
                .with_header("Cookie", CANARY)
                .with_query("token", CANARY)
        ),
        format!("{:?}", job().with_data(CANARY.into())),
        format!("{:?}", body()),
        format!("{:?}", Body::Bytes(CANARY.into())),
        format!("{:?}", Body::Form(format!("token={CANARY}"))),
        format!(
            "{:?}",
            Response::new(200, vec![("Set-Cookie".into(), CANARY.into())], body())
        ),
        format!("{batch:?}"),
    ];
    for text in shown {
        assert!(!text.contains(CANARY), "{text}");
    }
}

#[test]
fn secrets_compare_whole_text() {
    assert_eq!(Secret::from("abc"), Secret::from("abc"));
    for other in ["abd", "xbc", "ab", "abcd", ""] {
        assert_ne!(Secret::from("abc"), Secret::from(other));
    }
}

#[test]
fn mask_follows_pointers_and_wildcards() {
    let text = r#"{"a":{"b":"x","c":1},"list":[{"t":"x"},{"t":"y"}],"s~/l":"x","n":null}"#;
    let masked = mask_json(
        text,
        &[
            "/a/b",
            "/list/*/t",
            "/s~0~1l",
            "/n",
            "/missing/deep",
            "/a/c/d",
        ],
    );
    let expected =
        r#"{"a":{"b":"***","c":1},"list":[{"t":"***"},{"t":"***"}],"n":null,"s~/l":"***"}"#;
    assert_eq!(masked, expected);
    assert_eq!(
        mask_json(r#"[["x"],["y"]]"#, &["/1/0"]),
        r#"[["x"],["***"]]"#
    );
    assert_eq!(
        mask_json("{\"password\": \"x", &["/password"]),
        "***",
        "text that is not JSON is masked whole"
    );
}

#[test]
fn secret_path_is_masked() {
    let job = Job::new(
        &server(),
        "/_synapse/tokens/wordpass",
        Method::Delete,
        "delete",
    )
    .with_secret_path();
    assert!(job.url().ends_with("/wordpass"));
    assert_eq!(
        job.masked_url(),
        "https://matrix.example.org/_synapse/tokens/***"
    );
    assert!(!format!("{job:?}").contains("wordpass"));
    assert!(job.holds_secret());
    let error = serde_json::to_string(&job).unwrap_err().to_string();
    assert!(!error.contains("wordpass"), "{error}");
}
