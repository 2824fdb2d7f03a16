//! A person in a browser, as far as pages need one: they are fetched, and their forms are sent.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// A page as it came.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Page {
    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Where it leads on to.
    pub(crate) fn location(&self) -> &str {
        self.header("location")
            .unwrap_or_else(|| panic!("{self:?}"))
    }
}

/// Fetches one page, and follows nothing.
pub(crate) fn visit(url: &str) -> Page {
    exchange("GET", url, "")
}

/// Presses a button of a form of the embedded homeserver's pages.
pub(crate) fn press(url: &str, page: &Page, step: &str, fields: &[(&str, &str)]) -> Page {
    let before = "name=\"csrf\" value=\"";
    let (_, rest) = page
        .body
        .split_once(before)
        .unwrap_or_else(|| panic!("{page:?}"));
    let csrf = rest.split('"').next().unwrap();
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("csrf", csrf), ("step", step)])
        .extend_pairs(fields)
        .finish();
    exchange("POST", url, &form)
}

/// Makes an account on the embedded homeserver's pages, and lets the program in.
pub(crate) fn sign_up(way_in: &str, username: &str) -> Page {
    go_in(way_in, "sign-up", username)
}

/// Signs in on the embedded homeserver's pages, and lets the program in.
pub(crate) fn sign_in(way_in: &str, username: &str) -> Page {
    go_in(way_in, "sign-in", username)
}

fn go_in(way_in: &str, step: &str, username: &str) -> Page {
    follow(press_through(way_in, step, username).location())
}

/// Signs in on the embedded homeserver's page for codes, and lets the other device in.
pub(crate) fn let_in(way_in: &str, username: &str) -> Page {
    press_through(way_in, "sign-in", username)
}

fn press_through(way_in: &str, step: &str, username: &str) -> Page {
    let mut url = way_in.to_owned();
    let mut page = visit(&url);
    while page.status / 100 == 3 {
        url = page.location().to_owned();
        page = visit(&url);
    }
    assert_eq!(page.status, 200, "{page:?}");
    let fields = [("username", username), ("password", PASSWORD)];
    let consent = press(&url, &page, step, &fields);
    assert_eq!(consent.status, 200, "{consent:?}");
    press(&url, &consent, "allow", &[])
}

/// What everybody who comes in through a page has for a password.
pub(crate) const PASSWORD: &str = "Aa1-wordpass-of-pages";

fn exchange(method: &str, url: &str, form: &str) -> Page {
    exchange_with(method, url, form, "")
}

/// Comes in by single sign-on on a Synapse, whose provider says who it is without asking.
pub(crate) fn through_the_provider(way_in: &str, provider: &str, username: &str) -> Page {
    let (mut url, mut cookies) = (way_in.to_owned(), String::new());
    for _ in 0..10 {
        if url.starts_with(provider) {
            url += &format!("&user={username}");
        }
        let page = exchange_with("GET", &url, "", &cookies);
        for line in page.head.lines() {
            if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("set-cookie")
            {
                cookies += &format!("{}; ", value.split(';').next().unwrap());
            }
        }
        match page.header("location") {
            Some(next) => url = next.to_owned(),
            // The homeserver asks whether this program is meant.
            None if page.body.contains("loginToken=") => {
                let links = page.body.split('"');
                let mut links = links.filter(|text| text.contains("loginToken="));
                url = links.next().unwrap().replace("&amp;", "&");
            }
            None => return page,
        }
    }
    panic!("{way_in} leads on and on")
}

fn exchange_with(method: &str, url: &str, form: &str, cookies: &str) -> Page {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Mode: navigate\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
         Cookie: {cookies}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    let mut stream = TcpStream::connect(host).unwrap();
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Page {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// Fetches a page, and follows where it leads to the end.
pub(crate) fn follow(url: &str) -> Page {
    let mut page = visit(url);
    for _ in 0..5 {
        if page.status / 100 != 3 {
            return page;
        }
        page = visit(page.location());
    }
    panic!("{url} leads on and on")
}
