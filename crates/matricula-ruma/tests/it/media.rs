//! Uploads and downloads.

use matricula_api::client::{
    authed_content_repo::{DownloadContent, DownloadThumbnail, GetMediaConfig},
    content_repo::UploadContent,
};
use matricula_core::{Body, Response};
use matricula_ruma::{Error, request};
use ruma_client_api::{
    authenticated_media::{get_content, get_content_thumbnail, get_media_config},
    media::create_content,
};
use serde_json::{Value, json};

use crate::round_trip::{hold, hold_answer, hold_request};

const BYTES: &[u8] = &[0, 159, 146, 150, b'\n', b'{'];

#[test]
fn upload_round_trips() {
    let address = "/_matrix/media/v3/upload?filename=a%20b.png";
    let headers = [("content-type", "image/png")];
    for bytes in [BYTES, b"no image", b""] {
        let body = match bytes {
            b"" => Body::Empty,
            bytes => Body::Bytes(bytes.to_vec()),
        };
        hold_request::<UploadContent, create_content::v3::Request>(address, &headers, body);
    }
    let answer = json!({"content_uri": "mxc://example.org/AQwafuaFswefuhsfAFAgsw"});
    let answer = Response::new(200, vec![], Body::Json(answer.to_string()));
    hold_answer::<UploadContent, create_content::v3::Response>(&answer);
}

#[test]
fn unread_file_is_rejected() {
    let file = Body::File(matricula_core::FileRef::new("a.png"));
    let refused = request::to_ruma::<create_content::v3::Request>(&UploadContent::new(file));
    assert!(matches!(refused, Err(Error::File)));
}

#[test]
fn download_round_trips() {
    hold_request::<DownloadContent, get_content::v1::Request>(
        "/_matrix/client/v1/media/download/example.org/abc?timeout_ms=5000",
        &[],
        Body::Empty,
    );
    let header = vec![
        ("content-type".into(), "image/png".to_owned()),
        (
            "content-disposition".into(),
            "attachment; filename=a.png".to_owned(),
        ),
    ];
    let answer = Response::new(200, header, Body::Bytes(BYTES.to_vec()));
    hold_answer::<DownloadContent, get_content::v1::Response>(&answer);
}

#[test]
fn thumbnail_round_trips() {
    hold_request::<DownloadThumbnail, get_content_thumbnail::v1::Request>(
        "/_matrix/client/v1/media/thumbnail/example.org/abc?width=64&height=32&method=crop\
         &animated=true&timeout_ms=5000",
        &[],
        Body::Empty,
    );
}

#[test]
fn media_limits_round_trip() {
    hold::<GetMediaConfig, get_media_config::v1::Request, _>(
        "/_matrix/client/v1/media/config",
        &Value::Null,
        &json!({"m.upload.size": 50000000}),
    );
}
