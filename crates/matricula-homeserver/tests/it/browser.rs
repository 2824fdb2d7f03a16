//! A minimal browser that sends forms.

use matricula_core::Method;
use matricula_homeserver::Request;

use crate::{Reply, TestServer};

/// A GET request for a link.
pub(crate) fn link(address: &str) -> Request {
    let path = match address.split_once("://") {
        Some((_, rest)) if !address.starts_with('/') => {
            rest.find('/').map_or("/", |at| &rest[at..])
        }
        _ => address,
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut request = Request::new(Method::Get, path);
    request.query = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    request.peer = "127.0.0.1".to_owned();
    request
}

/// A POST request with a form.
pub(crate) fn form(address: &str, fields: &[(&str, &str)]) -> Request {
    let mut request = link(address);
    request.method = Method::Post;
    request.body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
        .into_bytes();
    request
}

/// The CSRF token of the first form of a page.
#[track_caller]
pub(crate) fn visit(page: &str) -> String {
    let before = "name=\"csrf\" value=\"";
    let at = page.find(before);
    let rest = &page[at.unwrap_or_else(|| panic!("no visit in {page}")) + before.len()..];
    rest[..rest.find('"').unwrap()].to_owned()
}

/// Submits the form of a page with a button.
pub(crate) fn press(
    home: &mut TestServer,
    address: &str,
    page: &Reply,
    step: &str,
    fields: &[(&str, &str)],
) -> Reply {
    let visit = visit(page.text());
    let mut all = vec![("csrf", visit.as_str()), ("step", step)];
    all.extend(fields);
    home.send(form(address, &all))
}

/// Opens a page and signs in; returns the next page.
#[track_caller]
pub(crate) fn sign_in(
    home: &mut TestServer,
    address: &str,
    username: &str,
    password: &str,
) -> Reply {
    let page = home.send(link(address));
    assert_eq!(page.0.status, 200, "{}", page.text());
    let fields = [("username", username), ("password", password)];
    let page = press(home, address, &page, "sign-in", &fields);
    assert_eq!(page.0.status, 200, "{}", page.text());
    page
}

/// The redirect of a response, with its parameters.
pub(crate) struct BrowserRedirect {
    pub(crate) address: String,
    pub(crate) parameters: Vec<(String, String)>,
}

impl BrowserRedirect {
    #[track_caller]
    pub(crate) fn of(reply: &Reply) -> Self {
        assert_eq!(reply.0.status, 303, "{}", reply.text());
        let location = reply.header("Location").unwrap();
        let (address, text) = location.split_once(['?', '#']).unwrap();
        Self {
            address: address.to_owned(),
            parameters: form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut named = self.parameters.iter().filter(|(key, _)| key == name);
        named.next().map(|(_, value)| value.as_str())
    }
}
