//! How a server finds the operation that a request is for.

use matricula_api::{
    client::{ENDPOINTS, rooms::GetStateEvent},
    server::{IncomingRequest, ServerEndpoint, find},
};

fn found(method: &str, path: &str) -> Vec<&'static str> {
    let found = find(ENDPOINTS, method, path);
    found.iter().map(|one| one.operation.id).collect()
}

#[test]
fn method_and_path_select_operation() {
    let room = "/_matrix/client/v3/rooms/%21a%3Ab";
    assert_eq!(found("GET", "/_matrix/client/versions"), ["getVersions"]);
    assert_eq!(found("PUT", &format!("{room}/send/m.x/1")), ["sendMessage"]);
    assert_eq!(found("GET", &format!("{room}/send/m.x/1")), [""; 0]);
    assert_eq!(found("GET", "/_matrix/client/v3/nothing"), [""; 0]);
    assert_eq!(found("GET", "/"), [""; 0]);
    // The body tells these apart.
    let invite = found("POST", &format!("{room}/invite"));
    assert_eq!(invite, ["inviteBy3PID", "inviteUser"]);
}

#[test]
fn slash_before_empty_key_is_optional() {
    for (path, key) in [
        ("/_matrix/client/v3/rooms/!a:b/state/m.room.name", ""),
        ("/_matrix/client/v3/rooms/!a:b/state/m.room.name/", ""),
        ("/_matrix/client/v3/rooms/!a:b/state/m.room.name/k", "k"),
    ] {
        assert_eq!(found("GET", path), ["getRoomStateWithKey"], "{path}");
        let operation = &find(ENDPOINTS, "GET", path)[0].operation;
        let request = IncomingRequest::new(operation, path).unwrap();
        let request = GetStateEvent::read_request(&request).unwrap();
        assert_eq!(request.event_type, "m.room.name");
        assert_eq!(request.state_key, key);
    }
    assert_eq!(
        found("GET", "/_matrix/client/v3/rooms/!a:b/state"),
        ["getRoomState"]
    );
    assert_eq!(
        found("GET", "/_matrix/client/v3/pushrules"),
        ["getPushRules"]
    );
}
