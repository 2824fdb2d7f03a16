//! Accessibility of the pages.

use serde_json::Value;

use super::{
    authorization, authorization_url, client, device, form, keep_picture, server, sign_up,
    stage_url, webdriver::Browser,
};
use matricula_api::oauth::AuthorizationPrompt;

/// Minimum contrast of text: https://www.w3.org/TR/WCAG22/#contrast-minimum
const TEXT_CONTRAST: f64 = 4.5;
/// Minimum contrast of the border of a field: https://www.w3.org/TR/WCAG22/#non-text-contrast
const OUTLINE_CONTRAST: f64 = 3.0;
/// The narrowest viewport: https://www.w3.org/TR/WCAG22/#reflow
const NARROW: u32 = 320;

/// Each text with its colour and background, and each field with the colour of its border.
const COLOURS: &str = "
    const opaque = colour => !/, 0\\)$/.test(colour);
    const ground = element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (opaque(colour)) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    const seen = [];
    for (const element of document.body.querySelectorAll('*')) {
        const style = getComputedStyle(element);
        const own = [...element.childNodes].some(it => it.nodeType === 3 && it.data.trim());
        if (own && element.localName !== 'script') {
            seen.push(['text', element.textContent.trim(), style.color, ground(element)]);
        }
        if (element.matches('input[type=text], input[type=password]')) {
            seen.push(['field', element.name, style.borderTopColor, ground(element.parentElement)]);
        }
    }
    return seen;";

/// All accessibility errors of the open page.
fn faults(browser: &Browser) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |holds: bool, fault: String| {
        if !holds {
            faults.push(fault);
        }
    };
    let headings = browser.find_all("h1");
    let heading = headings.first().map(|it| browser.text(it));
    check(
        headings.len() == 1,
        format!("{} first headings", headings.len()),
    );
    check(
        heading == Some(browser.title()),
        "title and heading differ".to_owned(),
    );
    check(
        browser.find_all("html[lang]").len() == 1,
        "no language".to_owned(),
    );
    check(
        browser.find_all("main").len() == 1,
        "no main part".to_owned(),
    );
    for control in browser.find_all("a, button, input:not([type=hidden])") {
        let (role, label) = (browser.role(&control), browser.label(&control));
        check(!label.is_empty(), format!("a {role} without a name"));
        for id in browser
            .attribute(&control, "aria-describedby")
            .iter()
            .flat_map(|it| it.split(' '))
        {
            let described = browser.find_all(&format!("#{id}")).len() == 1;
            check(
                described,
                format!("{label} is described by {id}, which is not there"),
            );
        }
    }
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for fault in contrast_faults(&browser.run(COLOURS)) {
            check(false, format!("{scheme}: {fault}"));
        }
    }
    browser.resize(NARROW, 800);
    let width = browser
        .run("return document.documentElement.scrollWidth")
        .as_u64()
        .unwrap();
    check(
        width <= u64::from(NARROW),
        format!("{width} wide on a screen of {NARROW}"),
    );
    browser.resize(900, 1000);
    for fault in focus_faults(browser) {
        check(false, fault);
    }
    faults
}

fn contrast_faults(seen: &Value) -> Vec<String> {
    let seen = seen.as_array().unwrap();
    let faults = seen.iter().filter_map(|it| {
        let [kind, name, colour, ground] = [0, 1, 2, 3].map(|at| it[at].as_str().unwrap());
        let least = if kind == "text" {
            TEXT_CONTRAST
        } else {
            OUTLINE_CONTRAST
        };
        let found = contrast(colour, ground);
        (found < least).then(|| format!("{kind} {name:?} has a contrast of {found:.2}"))
    });
    faults.collect()
}

/// The contrast of two colours: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
fn contrast(one: &str, other: &str) -> f64 {
    let [one, other] = [luminance(one), luminance(other)];
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(colour: &str) -> f64 {
    let inner = colour.split(['(', ')']).nth(1).unwrap();
    let parts: Vec<f64> = inner
        .split(',')
        .map(|it| it.trim().parse().unwrap())
        .collect();
    let linear = |part: f64| match part / 255.0 {
        low if low <= 0.04045 => low / 12.92,
        high => ((high + 0.055) / 1.055).powf(2.4),
    };
    0.2126 * linear(parts[0]) + 0.7152 * linear(parts[1]) + 0.0722 * linear(parts[2])
}

/// The Tab key reaches every control in document order, and the focus is visible.
fn focus_faults(browser: &Browser) -> Vec<String> {
    let controls = browser.find_all("a, button, input:not([type=hidden])");
    browser
        .run("document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus();");
    let mut faults = Vec::new();
    for control in controls {
        browser.key('\u{e004}');
        let label = browser.label(&control);
        if browser.focused() != control {
            faults.push(format!("Tab does not come to {label}"));
            break;
        }
        if browser.style(&control, "outline-style") == "none" {
            faults.push(format!("{label} does not show that it has the focus"));
        }
    }
    faults
}

#[track_caller]
fn assert_accessible(browser: &Browser, name: &str) {
    browser.prefer("light");
    keep_picture(browser, &format!("{name}-light"));
    browser.prefer("dark");
    keep_picture(browser, &format!("{name}-dark"));
    let faults = faults(browser);
    assert!(faults.is_empty(), "{name}: {faults:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: cargo xtask test"]
async fn every_page_is_accessible() {
    let server = server().await;
    let client = client(&server);
    let browser = Browser::with_scripts();
    let signing_up = authorization(&client, 9).prompt(AuthorizationPrompt::Create);
    browser.open(&authorization_url(&server, &signing_up));
    assert_accessible(&browser, "sign-up");
    sign_up(&browser, "anna");
    assert_accessible(&browser, "consent");

    let signing_in = authorization_url(&server, &authorization(&client, 9));
    browser.open(&signing_in);
    assert_accessible(&browser, "sign-in");
    browser.fill("Username", "anna");
    browser.fill("Password", "wrong");
    browser.press("Sign in");
    assert_accessible(&browser, "sign-in-wrong");
    browser.open(&signing_in.replace("client_id=", "client_id=un"));
    assert_accessible(&browser, "refused");

    let begun = device(&server, &client);
    browser.open(&begun.verification_uri);
    assert_accessible(&browser, "code");
    browser.open(&format!("{}?code=BCDF", begun.verification_uri));
    assert_accessible(&browser, "code-wrong");
    browser.open(begun.verification_uri_complete.as_deref().unwrap());
    browser.fill("Username", "anna");
    browser.fill("Password", "p");
    browser.press("Sign in");
    assert_accessible(&browser, "device-consent");
    browser.press("Allow");
    assert_accessible(&browser, "done");
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", begun.device_code.expose()),
        ("client_id", client.as_str()),
    ];
    assert_eq!(form(&server, "/oauth2/token", &fields).status, 200);

    browser.open(&format!("{}/account", server.url()));
    browser.fill("Username", "anna");
    browser.fill("Password", "p");
    browser.press("Sign in");
    assert_accessible(&browser, "account");

    for (stage, passed) in [
        ("m.login.registration_token", vec![]),
        (
            "m.login.terms",
            vec![("m.login.registration_token", "token=sesame")],
        ),
        (
            "org.example.riddle",
            vec![
                ("m.login.registration_token", "token=sesame"),
                ("m.login.terms", "accept=terms"),
            ],
        ),
    ] {
        browser.open(&stage_url(&server, stage, &passed));
        assert_accessible(&browser, stage);
    }
    browser.open(&format!("{}/_matricula/terms/terms/en", server.url()));
    assert_accessible(&browser, "terms");
}

#[test]
#[ignore = "needs chromium and chromedriver: cargo xtask test"]
fn inaccessible_page_is_detected() {
    let browser = Browser::with_scripts();
    let page = "data:text/html,<title>Other</title><h1>One</h1><h1>Two</h1>\
        <p style='color:%23999;background:%23fff'>faint</p>\
        <input type=text name=bare aria-describedby=nowhere style='border:1px solid %23eee'>\
        <button tabindex=-1 style='outline:none'></button><div style='width:900px'>wide</div>";
    browser.open(page);
    let faults = faults(&browser).join("\n");
    for fault in [
        "2 first headings",
        "title and heading differ",
        "no language",
        "no main part",
        "a textbox without a name",
        "a button without a name",
        "described by nowhere",
        "text \"faint\" has a contrast",
        "field \"bare\" has a contrast",
        "wide on a screen of 320",
        "Tab does not come to",
    ] {
        assert!(faults.contains(fault), "{fault} in\n{faults}");
    }
}

#[test]
#[ignore = "needs chromium and chromedriver: cargo xtask test"]
fn pages_block_scripts() {
    let page = "data:text/html,<title>before</title><script>document.title='after'</script>";
    for (browser, title) in [
        (Browser::start(), "before"),
        (Browser::with_scripts(), "after"),
    ] {
        browser.open(page);
        assert_eq!(browser.title(), title);
    }
}

#[test]
fn contrast_matches_the_guidelines() {
    let white = "rgb(255, 255, 255)";
    assert!((contrast("rgb(0, 0, 0)", white) - 21.0).abs() < 0.01);
    assert!((contrast("rgb(118, 118, 118)", white) - 4.54).abs() < 0.01);
    assert!((contrast(white, white) - 1.0).abs() < 0.01);
}
