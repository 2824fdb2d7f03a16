//! An unusable proxy is an error: requests must not bypass it.

use super::shared::environment::ask;

#[test]
fn unsupported_proxy_is_refused() {
    for proxy in [
        "socks5://127.0.0.1:1",
        "socks5h://127.0.0.1:1",
        "ftp://a",
        "::",
    ] {
        for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            let server = "https://matrix.example.org".parse().unwrap();
            let said = ask(&server, &[(name, proxy)]);
            let start = format!("InvalidRequest No the proxy in {name} is ");
            assert!(said.starts_with(&start), "{proxy}: {said}");
            assert!(!said.contains(proxy), "{said}");
        }
    }
}
