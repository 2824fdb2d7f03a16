//! The fallback pages of a homeserver.

use matricula_api::{
    fallback::{auth_page, login_page},
    uia::Stage,
};
use matricula_core::ServerUrl;

use crate::server;

#[test]
fn stage_page_has_the_session() {
    assert_eq!(
        auth_page(&server(), &Stage::Recaptcha, Some("xyz &/?é")),
        "https://matrix.example.org/_matrix/client/v3/auth/m.login.recaptcha/fallback/web\
         ?session=xyz+%26%2F%3F%C3%A9"
    );
    let below: ServerUrl = "https://example.org/matrix".parse().unwrap();
    assert_eq!(
        auth_page(&below, &Stage::from("org.example/riddle"), None),
        "https://example.org/matrix/_matrix/client/v3/auth/org.example%2Friddle/fallback/web"
    );
}

#[test]
fn login_page_takes_parameters() {
    assert_eq!(
        login_page(&server(), []),
        "https://matrix.example.org/_matrix/static/client/login/"
    );
    assert_eq!(
        login_page(
            &server(),
            [
                ("device_id", "GHTYAJCE"),
                ("initial_device_display_name", "a b")
            ]
        ),
        "https://matrix.example.org/_matrix/static/client/login/\
         ?device_id=GHTYAJCE&initial_device_display_name=a+b"
    );
}
