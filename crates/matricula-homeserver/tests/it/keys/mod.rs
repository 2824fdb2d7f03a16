//! Encryption: keys of devices and users, messages to devices, key backups.

mod backup;
mod backup_limits;
mod cross_signing;
mod device_lists;
mod devices;
mod malformed;
mod odd_bodies;
mod one_time;
mod signatures;
mod to_device;
mod to_device_queue;

use matricula_core::Method;
use matricula_rules::signing::{SigningKey, sign_json};
use serde_json::{Value, json};

use crate::{PASSWORD, Reply, TestServer, TestUser, text};

const UPLOAD: &str = "/_matrix/client/v3/keys/upload";
const QUERY: &str = "/_matrix/client/v3/keys/query";
const CLAIM: &str = "/_matrix/client/v3/keys/claim";
const SIGNING: &str = "/_matrix/client/v3/keys/device_signing/upload";
const SIGNATURES: &str = "/_matrix/client/v3/keys/signatures/upload";
const CREATE_ROOM: &str = "/_matrix/client/v3/createRoom";

/// The private key of a device, or of a user where `id` is empty: then the public key is the id.
fn private_key(id: &str, seed: u8) -> SigningKey {
    let key = SigningKey::from_seed("ed25519:x", [seed; 32]).unwrap();
    let id = match id {
        "" => key.verifying_key().to_base64(),
        id => id.to_owned(),
    };
    SigningKey::from_seed(&format!("ed25519:{id}"), [seed; 32]).unwrap()
}

fn public_key(key: &SigningKey) -> String {
    key.verifying_key().to_base64()
}

/// An object with one more signature.
fn signed(object: &Value, user_id: &str, key: &SigningKey) -> Value {
    let signed = sign_json(&object.to_string(), user_id, key).unwrap();
    serde_json::from_str(&signed).unwrap()
}

/// A signed-in device with a key of its own.
struct TestDevice {
    user: TestUser,
    id: String,
    key: SigningKey,
}

/// Registers a user on a device.
fn sign_up(home: &mut TestServer, name: &str, device: &str) -> TestDevice {
    let body = json!({ "username": name, "password": PASSWORD, "device_id": device });
    TestDevice::of(&home.register(body).ok())
}

/// Logs a user in on another device.
fn log_in(home: &mut TestServer, name: &str, device: &str) -> TestDevice {
    TestDevice::of(&home.login(name, json!({ "device_id": device })).ok())
}

impl TestDevice {
    fn of(answer: &Value) -> Self {
        let id = text(answer, "device_id");
        Self {
            user: TestUser::of(answer),
            key: private_key(&id, id.bytes().fold(0, u8::wrapping_add)),
            id,
        }
    }

    /// The keys of the device, signed.
    fn keys(&self) -> Value {
        let id = &self.id;
        let keys = json!({
            "user_id": self.user.user_id,
            "device_id": id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                format!("curve25519:{id}"): "x",
                format!("ed25519:{id}"): public_key(&self.key),
            },
        });
        signed(&keys, &self.user.user_id, &self.key)
    }

    fn post(&self, home: &mut TestServer, path: &str, body: Value) -> Reply {
        home.post_as(&self.user.token, path, body)
    }

    fn get(&self, home: &mut TestServer, path: &str) -> Reply {
        home.get_as(&self.user.token, path)
    }

    fn call(&self, home: &mut TestServer, method: Method, path: &str, body: Value) -> Reply {
        home.call_as(&self.user.token, method, path, body)
    }

    /// Uploads the keys of the device.
    fn upload(&self, home: &mut TestServer) {
        let body = json!({ "device_keys": self.keys() });
        self.post(home, UPLOAD, body).ok();
    }

    /// All that a query for a user returns.
    fn query(&self, home: &mut TestServer, user_id: &str) -> Value {
        let body = json!({ "device_keys": { user_id: [] } });
        self.post(home, QUERY, body).ok()
    }

    /// The devices that a query for a user returns.
    fn devices_of(&self, home: &mut TestServer, user_id: &str) -> Vec<String> {
        let found = self.query(home, user_id);
        let devices = found["device_keys"][user_id].as_object().unwrap();
        devices.keys().cloned().collect()
    }

    fn sync(&self, home: &mut TestServer) -> Value {
        self.get(home, "/_matrix/client/v3/sync").ok()
    }

    /// Syncs with the token of an earlier sync.
    fn sync_after(&self, home: &mut TestServer, earlier: &Value) -> Value {
        let since = text(earlier, "next_batch");
        self.get(home, &format!("/_matrix/client/v3/sync?since={since}"))
            .ok()
    }

    /// Creates a public room, and lets the others join.
    fn room(&self, home: &mut TestServer, others: &[&TestDevice]) -> String {
        let body = json!({ "preset": "public_chat" });
        let room = text(&self.post(home, CREATE_ROOM, body).ok(), "room_id");
        for other in others {
            other.act(home, &room, "join");
        }
        room
    }

    /// Joins or leaves a room.
    fn act(&self, home: &mut TestServer, room: &str, what: &str) {
        let path = format!("/_matrix/client/v3/rooms/{room}/{what}");
        self.post(home, &path, json!({})).ok();
    }
}

/// The cross-signing keys of a user.
struct CrossSigning {
    user_id: String,
    master: SigningKey,
    self_signing: SigningKey,
    user_signing: SigningKey,
}

impl CrossSigning {
    fn new(device: &TestDevice, seed: u8) -> Self {
        Self {
            user_id: device.user.user_id.clone(),
            master: private_key("", seed),
            self_signing: private_key("", seed + 1),
            user_signing: private_key("", seed + 2),
        }
    }

    /// A public key, not signed.
    fn key(&self, usage: &str, key: &SigningKey) -> Value {
        let public = public_key(key);
        json!({
            "user_id": self.user_id,
            "usage": [usage],
            "keys": { format!("ed25519:{public}"): public },
        })
    }

    fn master_key(&self) -> Value {
        self.key("master", &self.master)
    }

    fn self_signing_key(&self) -> Value {
        let key = self.key("self_signing", &self.self_signing);
        signed(&key, &self.user_id, &self.master)
    }

    fn user_signing_key(&self) -> Value {
        let key = self.key("user_signing", &self.user_signing);
        signed(&key, &self.user_id, &self.master)
    }

    fn body(&self) -> Value {
        json!({
            "master_key": self.master_key(),
            "self_signing_key": self.self_signing_key(),
            "user_signing_key": self.user_signing_key(),
        })
    }
}

/// Uploads the first cross-signing keys of a user.
fn set_up(home: &mut TestServer, device: &TestDevice, seed: u8) -> CrossSigning {
    let keys = CrossSigning::new(device, seed);
    device.post(home, SIGNING, keys.body()).ok();
    keys
}

/// Alice on the device `A` and bob on the device `B`, who have uploaded keys.
fn two() -> (TestServer, TestDevice, TestDevice) {
    let mut home = TestServer::open();
    let alice = sign_up(&mut home, "alice", "A");
    let bob = sign_up(&mut home, "bob", "B");
    alice.upload(&mut home);
    bob.upload(&mut home);
    (home, alice, bob)
}
