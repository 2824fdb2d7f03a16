//! The operations and their properties match the data exactly.

use std::collections::BTreeSet;

use matricula_api::server::{AnyEndpoint, Parameter, ParameterLocation};
use matricula_core::{Api, OperationAuth};

use super::{
    data::{Described, Node, operations, requests},
    schema::properties,
};
use crate::apis::{APIS, all, endpoint, name};

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn operations_match_the_data() {
    let described = operations();
    let expected: BTreeSet<_> = described
        .iter()
        .map(|one| {
            let api = one.api.as_str();
            (api, one.id.as_str(), one.method.as_str(), one.path.as_str())
        })
        .collect();
    let ours: BTreeSet<_> = all()
        .map(|one| {
            let facts = &one.operation;
            let (api, method) = (facts.api.as_str(), facts.method.as_str());
            (api, facts.id, method, facts.path)
        })
        .collect();
    assert_eq!(ours, expected);
    // Neither side has duplicates.
    assert_eq!(
        (expected.len(), described.len(), all().count()),
        (199, 199, 199)
    );
    let sizes = APIS.map(|(api, served)| (api, served.len()));
    let (client, identity) = ((Api::Client, 166), (Api::Identity, 23));
    assert_eq!(
        sizes,
        [client, identity, (Api::Appservice, 9), (Api::Push, 1)]
    );
}

#[test]
fn operations_and_endpoints_match() {
    let listed: Vec<_> = matricula_api::operations().collect();
    let served: Vec<_> = all().map(|one| &one.operation).collect();
    assert_eq!(listed, served);
}

/// Corrections of the data, as in `xtask/overrides.yaml`.
const SINCE: [(&str, &str); 2] = [
    ("client/getMutualRooms", "1.19"),
    ("client/getAuthMetadata", "1.15"),
];
const AUTH: [(&str, OperationAuth); 6] = [
    ("client/getProfileField", OperationAuth::Optional),
    ("client/getPublicRooms", OperationAuth::Optional),
    ("client/getRoomSummary", OperationAuth::Optional),
    ("client/getUserProfile", OperationAuth::Optional),
    ("client/login", OperationAuth::AppserviceOptional),
    ("client/register", OperationAuth::AppserviceOptional),
];
const UIA: [&str; 1] = ["client/uploadCrossSigningKeys"];

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn properties_match_the_data() {
    let (mut limited, mut deprecated, mut with_uia) = (0, 0, 0);
    for described in operations() {
        let name = described.name();
        let ours = endpoint(described.api, &described.id).operation;
        let responses = described.node.get("responses");

        assert_eq!(ours.rate_limited, responses.get("429").is_there(), "{name}");
        limited += usize::from(ours.rate_limited);

        let expected = described.node.value["deprecated"] == true;
        assert_eq!(ours.deprecated, expected, "{name}");
        deprecated += usize::from(ours.deprecated);

        let since = described.node.get("x-addedInMatrixVersion");
        match SINCE.iter().find(|(known, _)| *known == name) {
            Some((_, true_since)) => {
                assert!(!since.is_there(), "the data now say when {name} came");
                assert_eq!(ours.since, Some(*true_since), "{name}");
            }
            None => assert_eq!(ours.since, since.text(), "{name}"),
        }

        let in_data = auth(&described.node, &name);
        match AUTH.iter().find(|(known, _)| *known == name) {
            Some((_, true_auth)) => {
                assert_ne!(in_data, Some(*true_auth), "the data are right now: {name}");
                assert_eq!(ours.auth, *true_auth, "{name}");
            }
            None => assert_eq!(Some(ours.auth), in_data, "{name}"),
        }

        let asks = asks_for_authentication(&responses.get("401"));
        match UIA.contains(&&*name) {
            true => assert!(ours.uia && !asks, "{name}"),
            false => assert_eq!(ours.uia, asks, "{name}"),
        }
        with_uia += usize::from(ours.uia);
    }
    assert_eq!((limited, deprecated, with_uia), (66, 9, 8));
}

/// The token that the data requires; `None` for an undefined scheme.
fn auth(node: &Node, name: &str) -> Option<OperationAuth> {
    let mut schemes = BTreeSet::new();
    for way in node.get("security").items() {
        match way.entries().first() {
            Some((scheme, _)) => schemes.insert(scheme.clone()),
            None => schemes.insert("nothing".to_owned()),
        };
    }
    let schemes: Vec<&str> = schemes.iter().map(String::as_str).collect();
    match schemes[..] {
        [] => Some(OperationAuth::None),
        ["accessTokenBearer", "accessTokenQuery"] => Some(OperationAuth::Required),
        ["accessTokenBearer", "accessTokenQuery", "nothing"] => Some(OperationAuth::Optional),
        ["appserviceAccessTokenBearer", "appserviceAccessTokenQuery"] => {
            Some(OperationAuth::Appservice)
        }
        ["homeserverAccessToken"] => Some(OperationAuth::Homeserver),
        ["signedRequest"] => None,
        _ => panic!("{name}: who may call it? {schemes:?}"),
    }
}

/// Whether a 401 response is user-interactive authentication, not an error.
fn asks_for_authentication(answer: &Node) -> bool {
    let content = answer.get("content").get("application/json");
    let properties = properties(&content.get("schema"));
    properties.iter().any(|(key, ..)| key == "flows")
}

type Named = (ParameterLocation, String, bool);

/// The parts of a request, from the data.
fn described_parameters(described: &Described) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    for parameter in described.node.get("parameters").items() {
        let name = parameter.get("name").text().unwrap().to_owned();
        let required = parameter.value["required"] == true;
        let place = match parameter.get("in").text() {
            Some("path") => ParameterLocation::Path,
            Some("query") => ParameterLocation::Query,
            Some("header") => ParameterLocation::Header,
            other => panic!("{}: where is {other:?}?", described.name()),
        };
        found.push((place, name, required));
    }
    for media in requests(described) {
        let fields = properties(&media.schema());
        found.extend(
            fields
                .into_iter()
                .map(|(key, _, required)| (ParameterLocation::Body, key, required)),
        );
    }
    found
}

fn our_parameters(endpoint: &AnyEndpoint) -> Vec<Named> {
    let whole = |one: &&Parameter| **one != Parameter::WHOLE_BODY && **one != Parameter::BYTES;
    let parameters = endpoint.parameters.iter().filter(whole);
    parameters
        .map(|one| (one.location, one.name.to_owned(), one.required))
        .collect()
}

/// The operations whose parameters are not as the data have them, with what differs: `+` is ours
/// alone, `-` the data's.
const DIFFERENT_PARAMETERS: [(&str, &str); 3] = [
    ("client/register", "+Body type, +Body guest_access_token"),
    ("client/sendMessage", "+Query ts"),
    ("client/setRoomStateWithKey", "+Query ts"),
];

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn parameters_match_the_data() {
    let mut differences = Vec::new();
    let mut count = 0;
    for described in operations() {
        let ours = endpoint(described.api, &described.id);
        let theirs = described_parameters(&described);
        let ours_named = our_parameters(ours);
        count += ours_named.len();
        let shown = |sign: &str, (place, name, required): &Named| {
            let needed = if *required { "!" } else { "" };
            format!("{sign}{place:?} {name}{needed}")
        };
        let more = ours_named.iter().filter(|one| !theirs.contains(one));
        let less = theirs.iter().filter(|one| !ours_named.contains(one));
        let mut found: Vec<String> = more.map(|one| shown("+", one)).collect();
        found.extend(less.map(|one| shown("-", one)));
        if !found.is_empty() {
            differences.push((name(ours), found.join(", ")));
        }
    }
    let differences: Vec<(&str, &str)> = differences
        .iter()
        .map(|(name, found)| (name.as_str(), found.as_str()))
        .collect();
    assert_eq!(differences, DIFFERENT_PARAMETERS);
    assert_eq!(count, 521);
}
