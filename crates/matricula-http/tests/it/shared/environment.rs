//! Root certificates come from the environment. Each request runs in a child process with an environment
//! of its own.

use std::{env, fs, path::PathBuf, process::Command, sync::Arc, time::Duration};

use matricula_core::{Job, Method, ServerUrl, scheduler::Outcome};
use rcgen::{CertificateParams, CertifiedKey, DnType, KeyPair};
use tempfile::TempDir;

use super::{PROTOCOLS, run, runner_with};
use crate::{
    options,
    server::{Server, UnreachedServer, answer, ok},
};

const URL: &str = "MATRICULA_TEST_URL";

/// Sends a request with a token in a child process with this environment. Returns the status, or the
/// error.
pub(super) fn ask(url: &ServerUrl, environment: &[(&str, &str)]) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args([&*child_test(), "--exact", "--nocapture"])
        .env_clear()
        .env(URL, url.as_str())
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    let said = text.lines().find_map(|line| line.split_once("outcome: "));
    said.unwrap_or_else(|| panic!("{text}{errors}"))
        .1
        .to_owned()
}

/// The name of the test that sends the request.
fn child_test() -> String {
    let (_crate, module) = module_path!().split_once("::").unwrap();
    format!("{module}::child_process_sends_request")
}

#[test]
fn child_process_sends_request() {
    let Ok(url) = env::var(URL) else {
        let server = Server::start([ok()]);
        assert_eq!(ask(&server.url, &[]), "200");
        assert_eq!(
            server.request().header("authorization"),
            ["Bearer syt_alice"]
        );
        return;
    };
    let mut options = options();
    options.timeout = Duration::from_secs(1);
    options.connect_timeout = options.timeout;
    options.allow_plain_http = true;
    let job = Job::new(&url.parse().unwrap(), "/a", Method::Get, "test");
    let job = job.with_token("syt_alice".into());
    match run(&runner_with(options, 1), job) {
        Outcome::Responded(response) => println!("\noutcome: {}", response.status_code()),
        Outcome::Failed(error) | Outcome::InDoubt(error) => {
            println!(
                "\noutcome: {:?} {:?} {}",
                error.kind, error.processed, error.message
            );
        }
        other => panic!("{other:?}"),
    }
}

/// A self-signed certificate, for a server and as a file for `SSL_CERT_FILE`.
pub(super) struct Certificate {
    certified: CertifiedKey<KeyPair>,
    _directory: TempDir,
    path: PathBuf,
}

impl Certificate {
    pub(super) fn of(name: &str) -> Self {
        let signing_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        // Certificates with the same subject are taken for the issuers of each other.
        params
            .distinguished_name
            .push(DnType::CommonName, name.to_owned());
        let cert = params.self_signed(&signing_key).unwrap();
        let certified = CertifiedKey { cert, signing_key };
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("roots.pem");
        fs::write(&path, certified.cert.pem()).unwrap();
        Self {
            certified,
            _directory: directory,
            path,
        }
    }

    pub(super) fn server(&self) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = self.certified.signing_key.serialize_der();
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certified.cert.der().clone()],
                key.try_into().unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    pub(super) fn trusted(&self) -> [(&str, &str); 1] {
        [("SSL_CERT_FILE", self.path.to_str().unwrap())]
    }
}

#[test]
fn trusted_certificate_is_accepted() {
    let certificate = Certificate::of("127.0.0.1");
    let (server, protocols) = Server::start_tls(certificate.server(), [ok()]);
    assert_eq!(ask(&server.url, &certificate.trusted()), "200");
    assert_eq!(
        server.request().header("authorization"),
        ["Bearer syt_alice"]
    );
    assert_eq!(*protocols.lock().unwrap(), PROTOCOLS);
}

#[test]
fn untrusted_certificate_is_refused() {
    let (certificate, other) = (Certificate::of("127.0.0.1"), Certificate::of("127.0.0.1"));
    let (server, _) = Server::start_tls(certificate.server(), [ok()]);
    let said = ask(&server.url, &other.trusted());
    let start = format!("Tls No {}: its certificate is not trusted: ", server.url);
    assert!(said.starts_with(&start), "{said}");
    assert!(server.requests().is_empty());
}

#[test]
fn unknown_issuer_names_the_variable() {
    let other = Certificate::of("elsewhere.example");
    let certificate = Certificate::of("127.0.0.1");
    let (server, _) = Server::start_tls(certificate.server(), [ok()]);
    let said = ask(&server.url, &other.trusted());
    assert!(said.starts_with("Tls No "), "{said}");
    assert_eq!(
        said.contains("SSL_CERT_FILE"),
        cfg!(all(
            unix,
            not(any(target_vendor = "apple", target_os = "android"))
        )),
        "{said}"
    );
    assert!(said.contains("certificate authority"), "{said}");
}

#[test]
fn certificate_of_other_host_is_refused() {
    let certificate = Certificate::of("elsewhere.example");
    let (server, _) = Server::start_tls(certificate.server(), [ok()]);
    let said = ask(&server.url, &certificate.trusted());
    assert!(
        said.starts_with("Tls No ") && said.contains("elsewhere.example"),
        "{said}"
    );
    assert!(server.requests().is_empty());
}

#[test]
fn missing_roots_name_the_package() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let server = UnreachedServer::new();
    let https = server
        .url
        .as_str()
        .replace("http:", "https:")
        .parse()
        .unwrap();
    let said = ask(&https, &[("SSL_CERT_FILE", empty.path().to_str().unwrap())]);
    assert!(
        said.starts_with("Tls No ") && said.contains("ca-certificates"),
        "{said}"
    );
    server.assert();
}

#[test]
fn redirect_from_tls_to_plain_is_refused() {
    let certificate = Certificate::of("127.0.0.1");
    let there = UnreachedServer::new();
    let location = format!("location: {}", there.url);
    let (server, _) = Server::start_tls(
        certificate.server(),
        [answer("302 Found", &[&location], "")],
    );
    let said = ask(&server.url, &certificate.trusted());
    let message = format!(
        "{} redirects from https to {}, without encryption",
        server.url, there.url
    );
    assert!(
        said.starts_with("Redirect ") && said.ends_with(&message),
        "{said}"
    );
    there.assert();
}

#[test]
fn port_without_tls_is_reported() {
    use std::io::{Read, Write};
    let certificate = Certificate::of("127.0.0.1");
    let server = Server::raw("https", |mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        false
    });
    let said = ask(&server.url, &certificate.trusted());
    let start = format!("Tls No {}: it does not speak TLS at this port", server.url);
    assert!(said.starts_with(&start), "{said}");
}

#[test]
fn tls_body_needs_close_notify() {
    use std::io::{Read, Write};
    let certificate = Certificate::of("127.0.0.1");
    let config = certificate.server();
    let server = Server::raw("https", move |mut stream| {
        let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut secured = rustls::Stream::new(&mut tls, &mut stream);
        let _ = secured.read(&mut [0; 4096]);
        let _ = secured.write_all(b"HTTP/1.1 200 OK\r\n\r\n{}");
        let _ = secured.flush();
        false
    });
    let said = ask(&server.url, &certificate.trusted());
    assert!(
        said.starts_with(&format!("ConnectionLost Maybe {}: ", server.url)),
        "{said}"
    );
}

#[test]
fn reset_inside_tls_truncates_body() {
    use std::io::{Read, Write};
    let certificate = Certificate::of("127.0.0.1");
    let config = certificate.server();
    let server = Server::raw("https", move |mut stream| {
        let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        // Record by record: the request must stay unread, so that closing resets the connection.
        while tls.is_handshaking() {
            let mut record = vec![0; 5];
            stream.read_exact(&mut record).unwrap();
            let length = u16::from_be_bytes([record[3], record[4]]);
            record.resize(5 + usize::from(length), 0);
            stream.read_exact(&mut record[5..]).unwrap();
            tls.read_tls(&mut &record[..]).unwrap();
            tls.process_new_packets().unwrap();
            while tls.wants_write() {
                tls.write_tls(&mut stream).unwrap();
            }
        }
        stream.peek(&mut [0]).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\n\r\n{}";
        tls.writer().write_all(answer).unwrap();
        while tls.wants_write() {
            tls.write_tls(&mut stream).unwrap();
        }
        false
    });
    let said = ask(&server.url, &certificate.trusted());
    assert!(
        said.starts_with(&format!("ConnectionLost Maybe {}: ", server.url))
            && said.contains("reset"),
        "{said}"
    );
}

#[test]
fn closed_tls_handshake_was_not_processed() {
    let certificate = Certificate::of("127.0.0.1");
    let server = Server::raw("https", |_| false);
    let said = ask(&server.url, &certificate.trusted());
    assert!(
        said.starts_with(&format!("Connect No {}: ", server.url)),
        "{said}"
    );
}

#[test]
fn silent_tls_handshake_times_out() {
    let certificate = Certificate::of("127.0.0.1");
    // The system opens the connections, and the server never accepts them.
    let server = UnreachedServer::new();
    let https: ServerUrl = server
        .url
        .as_str()
        .replace("http:", "https:")
        .parse()
        .unwrap();
    let said = ask(&https, &certificate.trusted());
    assert_eq!(
        said,
        format!("Timeout No {https}: no connection within 900ms")
    );
}
