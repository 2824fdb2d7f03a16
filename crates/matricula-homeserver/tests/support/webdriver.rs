//! Drives headless Chromium as a person does who hears a page rather than sees it: by roles and
//! names. For tests of any crate, which take this file by `#[path]`; it needs nothing but `serde_json`.
//!
//! It speaks [WebDriver](https://www.w3.org/TR/webdriver2/) with `chromedriver`. The test has to be
//! ignored, in a module named `chromium`: `cargo xtask test` runs it where both programs are there.
#![allow(dead_code, clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// The timeout of a page; a machine that builds at the same time is slow.
const TIMEOUT: Duration = Duration::from_secs(60);
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with its own profile. It closes when dropped.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: PathBuf,
}

/// An element of a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Element(String);

impl Browser {
    /// Starts a browser in which pages run no scripts.
    pub(crate) fn start() -> Self {
        Self::start_with(&json!({ "profile.managed_default_content_settings.javascript": 2 }))
    }

    /// Starts a browser in which pages and tests may run scripts.
    pub(crate) fn with_scripts() -> Self {
        Self::start_with(&json!({}))
    }

    fn start_with(preferences: &Value) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("matricula-chromium-{}-{next}", std::process::id());
        let profile = std::env::temp_dir().join(name);
        fs::create_dir(&profile).unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        // The driver keeps writing, and must not block.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self {
            driver,
            port: port.expect("chromedriver says on which port it is"),
            session: String::new(),
            profile,
        };
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=900,1000",
            &format!("--user-data-dir={}", browser.profile.display()),
        ];
        let options = json!({ "args": arguments, "prefs": preferences });
        let capabilities = json!({ "browserName": "chrome", "goog:chromeOptions": options });
        let asked = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let started = browser.call("POST", "/session", &asked);
        browser.session = started["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    /// Opens an address, and waits until the page is there.
    pub(crate) fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// The current URL.
    pub(crate) fn url(&self) -> String {
        text(self.get("url"))
    }

    /// The page's title.
    pub(crate) fn title(&self) -> String {
        text(self.get("title"))
    }

    /// The elements that match a CSS selector.
    pub(crate) fn find_all(&self, selector: &str) -> Vec<Element> {
        let asked = json!({ "using": "css selector", "value": selector });
        let found = self.post("elements", &asked);
        let found = found.as_array().unwrap().iter();
        found.map(|it| Element(text(it[ELEMENT].clone()))).collect()
    }

    /// The only element that matches a CSS selector.
    #[track_caller]
    pub(crate) fn find(&self, selector: &str) -> Element {
        let mut found = self.find_all(selector);
        assert_eq!(found.len(), 1, "{selector} at {}", self.url());
        found.remove(0)
    }

    /// The element with this accessible role and name.
    #[track_caller]
    pub(crate) fn named(&self, role: &str, name: &str) -> Element {
        let all = self.find_all("a, button, input:not([type=hidden]), h1, h2, main, [role]");
        let mut others = Vec::new();
        for element in all {
            let found = (self.role(&element), self.label(&element));
            if found.0 == role && found.1 == name {
                return element;
            }
            others.push(found);
        }
        panic!("no {role} named {name:?} at {}, but {others:?}", self.url());
    }

    /// Replaces the text of the field with this name.
    #[track_caller]
    pub(crate) fn fill(&self, name: &str, value: &str) {
        // A field for passwords has no role of its own.
        let fields = self.find_all("input:not([type=hidden])");
        let field = fields.iter().find(|it| self.label(it) == name);
        let field = field.unwrap_or_else(|| panic!("no field {name:?} at {}", self.url()));
        self.of(field, "POST", "clear", &json!({}));
        self.of(field, "POST", "value", &json!({ "text": value }));
    }

    /// Presses the button with this name, and waits for the next page.
    #[track_caller]
    pub(crate) fn press(&self, name: &str) {
        let button = self.named("button", name);
        self.leave(|| self.click(&button));
    }

    /// Presses Enter in the focused field, and waits for the next page.
    #[track_caller]
    pub(crate) fn enter(&self) {
        self.leave(|| self.key('\u{e007}'));
    }

    /// Waits until an action has loaded another page.
    #[track_caller]
    fn leave(&self, act: impl FnOnce()) {
        let before = self.root();
        act();
        let start = Instant::now();
        // An element of one page is none of another; between two there is none at all.
        while self.root().is_none_or(|now| Some(now) == before) {
            assert!(
                start.elapsed() < TIMEOUT,
                "no other page than {}",
                self.url()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn root(&self) -> Option<Element> {
        let path = format!("/session/{}/element", self.session);
        let asked = json!({ "using": "css selector", "value": "html" });
        let (_, found) = self.send("POST", &path, &asked).ok()?;
        found[ELEMENT].as_str().map(|id| Element(id.to_owned()))
    }

    pub(crate) fn click(&self, element: &Element) {
        self.of(element, "POST", "click", &json!({}));
    }

    /// Presses a key: `\u{e004}` is Tab.
    pub(crate) fn key(&self, key: char) {
        let keys = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let actions = json!([{ "type": "key", "id": "keyboard", "actions": keys }]);
        self.post("actions", &json!({ "actions": actions }));
    }

    /// The focused element.
    pub(crate) fn focused(&self) -> Element {
        Element(text(self.get("element/active")[ELEMENT].clone()))
    }

    /// The accessible name.
    pub(crate) fn label(&self, element: &Element) -> String {
        text(self.of(element, "GET", "computedlabel", &Value::Null))
    }

    /// The accessible role.
    pub(crate) fn role(&self, element: &Element) -> String {
        text(self.of(element, "GET", "computedrole", &Value::Null))
    }

    /// The visible text.
    pub(crate) fn text(&self, element: &Element) -> String {
        text(self.of(element, "GET", "text", &Value::Null))
    }

    pub(crate) fn attribute(&self, element: &Element, name: &str) -> Option<String> {
        let path = format!("attribute/{name}");
        let value = self.of(element, "GET", &path, &Value::Null);
        value.as_str().map(str::to_owned)
    }

    /// A property of the computed style.
    pub(crate) fn style(&self, element: &Element, property: &str) -> String {
        text(self.of(element, "GET", &format!("css/{property}"), &Value::Null))
    }

    /// What a script returns; see [`CallbackServer::with_scripts`].
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Sets the preferred colour scheme: `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let parameters = json!({ "features": features });
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": parameters });
        self.post("goog/cdp/execute", &command);
    }

    /// Sets the size of the viewport, in CSS pixels.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let parameters = json!({ "width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": parameters });
        self.post("goog/cdp/execute", &command);
    }

    /// A picture of the page: PNG, in base64.
    pub(crate) fn picture(&self) -> String {
        text(self.get("screenshot"))
    }

    fn get(&self, path: &str) -> Value {
        let path = format!("/session/{}/{path}", self.session);
        self.call("GET", &path, &Value::Null)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{path}", self.session);
        self.call("POST", &path, body)
    }

    fn of(&self, element: &Element, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}/element/{}/{path}", self.session, element.0);
        self.call(method, &path, body)
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(method, path, body);
        let (status, value) = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert_eq!(status, 200, "{method} {path}: {value:#}");
        value
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, Value)> {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let (port, length) = (self.port, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        read(BufReader::new(stream))
    }
}

fn read(mut stream: BufReader<TcpStream>) -> std::io::Result<(u16, Value)> {
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest[..3].parse().unwrap_or(0);
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let mut answer: Value = serde_json::from_slice(&body)?;
    Ok((status, answer["value"].take()))
}

#[track_caller]
fn text(value: Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("not a text: {value}"))
        .to_owned()
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser exits with its session; the driver does not.
        let _ = self.send(
            "DELETE",
            &format!("/session/{}", self.session),
            &Value::Null,
        );
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}
