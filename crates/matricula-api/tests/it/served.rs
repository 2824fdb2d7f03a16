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
fn a_path_and_method_lead_to_their_operation() {
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
fn the_slash_before_an_empty_state_key_may_be_left_out() {
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
