//! The application services of the tests of foreign clients, which receive events from a server.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::{Map, Value, json};

use crate::Result;
use crate::workspace::random_hex;

/// Below the ports of outgoing connections, of which the clients before a service use many.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// An application service, which a client of that name runs.
#[derive(Clone, Debug)]
pub(crate) struct TestService {
    name: &'static str,
    port: u16,
    as_token: String,
    hs_token: String,
}

impl TestService {
    /// One for each client that is also an application service.
    pub(crate) fn all() -> Result<Vec<Self>> {
        ["bot", "mautrix"]
            .map(|name| {
                Ok(Self {
                    name,
                    port: free_port()?,
                    as_token: random_hex(24)?,
                    hs_token: random_hex(24)?,
                })
            })
            .into_iter()
            .collect()
    }

    /// The name of its registration file for Synapse.
    pub(crate) fn file(&self) -> String {
        format!("{}-service.json", self.name)
    }

    /// Its registration for Synapse.
    pub(crate) fn registration(&self) -> Value {
        json!({
            "id": self.name,
            "url": self.url(),
            "as_token": self.as_token,
            "hs_token": self.hs_token,
            "sender_localpart": self.sender(),
            "namespaces": {
                "users": [{ "regex": format!("@{}.*", self.prefix()), "exclusive": true }],
                "aliases": [{ "regex": format!("#{}.*", self.prefix()), "exclusive": true }],
            },
        })
    }

    /// Its part of the configuration of the embedded homeserver.
    pub(crate) fn configuration(&self) -> Value {
        json!({
            "id": self.name,
            "url": self.url(),
            "as_token": self.as_token,
            "hs_token": self.hs_token,
            "sender": self.sender(),
            "user_prefixes": [self.prefix()],
            "alias_prefixes": [self.prefix()],
        })
    }

    /// What the clients need, by name.
    pub(crate) fn describe(services: &[Self]) -> Value {
        let described = services.iter().map(|service| {
            let settings = json!({
                "id": service.name,
                "url": service.url(),
                "port": service.port,
                "as_token": service.as_token,
                "hs_token": service.hs_token,
                "sender": service.sender(),
                "prefix": service.prefix(),
            });
            (service.name.to_owned(), settings)
        });
        Value::Object(described.collect::<Map<_, _>>())
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn sender(&self) -> String {
        format!("{}service", self.prefix())
    }

    fn prefix(&self) -> String {
        format!("{}_", self.name)
    }
}

/// A random free port. A service listens on it only when its client runs.
fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let random = u16::from_str_radix(&random_hex(2)?, 16).unwrap_or_default();
        let port = PORTS.start + random % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port was found on 127.0.0.1".to_owned())
}
