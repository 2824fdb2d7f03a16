//! Keeps keys with the [Secret Service] of the session: GNOME's keyring, KDE's wallet, KeePassXC.
//!
//! Keys are sent unencrypted over the session bus, to which only the user has access. The person is
//! never asked to unlock the keyring: the desktop login does that.
//!
//! [Secret Service]: https://specifications.freedesktop.org/secret-service/latest/

use std::{
    collections::HashMap,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use matricula_core::Secret;
use rustbus::{
    Marshal, MessageType, RpcConn, Signature,
    connection::{
        Error as BusError, Timeout, get_session_bus_path, ll_conn::force_finish_on_error,
    },
    message_builder::{MarshalledMessage, MessageBuilder},
    signature::{Container, Type},
    wire::{
        ObjectPath, SignatureWrapper,
        errors::MarshalError,
        marshal::{MarshalContext, traits::SignatureBuffer},
        unmarshal::traits::Variant,
    },
};

use super::{Keyring, KeyringError};

/// The timeout of a keyring. A person waits for it.
const TIMEOUT: Duration = Duration::from_secs(2);

const SERVICE: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
/// The path that stands for "none".
const NO_PATH: &str = "/";

#[derive(Clone, Copy, Debug)]
pub(super) struct SecretService;

impl Keyring for SecretService {
    fn key(&self, id: &str) -> Result<Option<Secret>, KeyringError> {
        let id = id.to_owned();
        in_time(move |bus| {
            let session = bus.open_session()?;
            let Some(item) = bus.find(&id)? else {
                return Ok(None);
            };
            bus.secret(&item, &session).map(Some)
        })
    }

    fn keep(&self, id: &str, label: &str, key: &Secret) -> Result<(), KeyringError> {
        let (id, label, key) = (id.to_owned(), label.to_owned(), key.clone());
        in_time(move |bus| {
            let session = bus.open_session()?;
            let collection = bus.default_collection()?;
            bus.create(&collection, &session, &id, &label, &key)
        })
    }

    fn forget(&self, id: &str) -> Result<(), KeyringError> {
        let id = id.to_owned();
        in_time(move |bus| match bus.find(&id)? {
            Some(item) => bus.delete(&item),
            None => Ok(()),
        })
    }
}

/// Does this on a separate thread, which is abandoned on timeout: connecting to a bus has no
/// timeout of its own.
fn in_time<T: Send + 'static>(
    ask: impl FnOnce(&mut Bus) -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    let (sender, receiver) = mpsc::channel();
    let until = Instant::now() + TIMEOUT;
    thread::spawn(move || {
        let answer = Bus::connect(until).and_then(|mut bus| ask(&mut bus));
        // The receiver is gone after the timeout.
        let _ = sender.send(answer);
    });
    match receiver.recv_timeout(TIMEOUT) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) => Err(SILENT),
        Err(RecvTimeoutError::Disconnected) => Err(refused("the bus sent a malformed message")),
    }
}

const SILENT: KeyringError = KeyringError::Silent {
    seconds: TIMEOUT.as_secs(),
};

fn refused(words: &str) -> KeyringError {
    KeyringError::Refused {
        words: words.to_owned(),
    }
}

/// The session bus, and the deadline for its answers.
struct Bus {
    connection: RpcConn,
    until: Instant,
}

impl Bus {
    fn connect(until: Instant) -> Result<Self, KeyringError> {
        let absent = |error: BusError| KeyringError::Absent {
            why: match error {
                BusError::NoAddressFound => {
                    "this is no desktop session: DBUS_SESSION_BUS_ADDRESS is not set".to_owned()
                }
                error => format!("the session's bus: {error}"),
            },
        };
        let path = get_session_bus_path().map_err(absent)?;
        let mut connection =
            RpcConn::connect_to_path(path, left(until)).map_err(|error| match error {
                BusError::TimedOut => SILENT,
                error => absent(error),
            })?;
        connection.set_filter(Box::new(|message| {
            matches!(message.typ, MessageType::Reply | MessageType::Error)
        }));
        Ok(Self { connection, until })
    }

    fn call(&mut self, message: &mut MarshalledMessage) -> Result<MarshalledMessage, KeyringError> {
        let sent = self.connection.send_message(message).map_err(failed)?;
        let serial = sent
            .write(left(self.until))
            .map_err(force_finish_on_error)
            .map_err(failed)?;
        let answer = self
            .connection
            .wait_response(serial, left(self.until))
            .map_err(failed)?;
        match answer.typ {
            MessageType::Error => Err(error_of(&answer)),
            _ => Ok(answer),
        }
    }

    /// A session that sends secrets unencrypted.
    fn open_session(&mut self) -> Result<String, KeyringError> {
        let mut message = method(SERVICE_PATH, "Service", "OpenSession");
        push(&mut message, "plain")?;
        message.body.push_variant("").map_err(not_understood)?;
        let answer = self.call(&mut message)?;
        let (_, session) = answer
            .body
            .parser()
            .get2::<Variant<'_, '_>, ObjectPath<String>>()
            .map_err(not_understood)?;
        Ok(session.as_ref().to_owned())
    }

    /// The item with the key of this ID.
    fn find(&mut self, id: &str) -> Result<Option<String>, KeyringError> {
        let mut message = method(SERVICE_PATH, "Service", "SearchItems");
        push(&mut message, attributes(id))?;
        let answer = self.call(&mut message)?;
        let (unlocked, locked) = answer
            .body
            .parser()
            .get2::<Vec<ObjectPath<String>>, Vec<ObjectPath<String>>>()
            .map_err(not_understood)?;
        if let Some(item) = unlocked.first() {
            return Ok(Some(item.as_ref().to_owned()));
        }
        let Some(item) = locked.first() else {
            return Ok(None);
        };
        self.unlock(item.as_ref())?;
        Ok(Some(item.as_ref().to_owned()))
    }

    fn default_collection(&mut self) -> Result<String, KeyringError> {
        let mut message = method(SERVICE_PATH, "Service", "ReadAlias");
        push(&mut message, "default")?;
        let collection = one_path(&self.call(&mut message)?)?;
        if collection == NO_PATH {
            return Err(KeyringError::Absent {
                why: "no keyring is the default one".to_owned(),
            });
        }
        self.unlock(&collection)?;
        Ok(collection)
    }

    /// Unlocks an item or a collection if no person is needed.
    fn unlock(&mut self, object: &str) -> Result<(), KeyringError> {
        let mut message = method(SERVICE_PATH, "Service", "Unlock");
        push(&mut message, vec![path(object)?])?;
        let answer = self.call(&mut message)?;
        let (unlocked, _prompt) = answer
            .body
            .parser()
            .get2::<Vec<ObjectPath<String>>, ObjectPath<String>>()
            .map_err(not_understood)?;
        match unlocked.is_empty() {
            true => Err(KeyringError::Locked),
            false => Ok(()),
        }
    }

    fn secret(&mut self, item: &str, session: &str) -> Result<Secret, KeyringError> {
        let mut message = method(item, "Item", "GetSecret");
        push(&mut message, path(session)?)?;
        let answer = self.call(&mut message)?;
        let (_, _, value, _) = answer
            .body
            .parser()
            .get::<(ObjectPath<String>, Vec<u8>, Vec<u8>, String)>()
            .map_err(not_understood)?;
        String::from_utf8(value)
            .map(Secret::from)
            .map_err(|_| KeyringError::Lost)
    }

    fn create(
        &mut self,
        collection: &str,
        session: &str,
        id: &str,
        label: &str,
        key: &Secret,
    ) -> Result<(), KeyringError> {
        let properties = HashMap::from([
            (
                "org.freedesktop.Secret.Item.Label",
                Property::Label(label.to_owned()),
            ),
            (
                "org.freedesktop.Secret.Item.Attributes",
                Property::Attributes(attributes(id)),
            ),
        ]);
        let value = key.expose().as_bytes();
        let secret = (path(session)?, &[][..] as &[u8], value, "text/plain");
        let mut message = method(collection, "Collection", "CreateItem");
        push(&mut message, properties)?;
        push(&mut message, secret)?;
        push(&mut message, true)?;
        let answer = self.call(&mut message)?;
        let (item, _prompt) = answer
            .body
            .parser()
            .get2::<ObjectPath<String>, ObjectPath<String>>()
            .map_err(not_understood)?;
        match item.as_ref() {
            NO_PATH => Err(KeyringError::Locked),
            _ => Ok(()),
        }
    }

    fn delete(&mut self, item: &str) -> Result<(), KeyringError> {
        let prompt = one_path(&self.call(&mut method(item, "Item", "Delete"))?)?;
        match prompt.as_str() {
            NO_PATH => Ok(()),
            _ => Err(KeyringError::Locked),
        }
    }
}

/// The properties of a new item.
enum Property {
    Label(String),
    Attributes(HashMap<String, String>),
}

impl Signature for Property {
    fn signature() -> Type {
        Type::Container(Container::Variant)
    }

    fn alignment() -> usize {
        1
    }

    fn sig_str(text: &mut SignatureBuffer) {
        text.push_static("v");
    }

    fn has_sig(text: &str) -> bool {
        text.starts_with('v')
    }
}

impl Marshal for Property {
    fn marshal(&self, into: &mut MarshalContext<'_, '_>) -> Result<(), MarshalError> {
        match self {
            Self::Label(label) => variant(label, into),
            Self::Attributes(attributes) => variant(attributes, into),
        }
    }
}

/// Writes a value with its type.
fn variant<T: Marshal>(value: &T, into: &mut MarshalContext<'_, '_>) -> Result<(), MarshalError> {
    let mut text = SignatureBuffer::new();
    T::sig_str(&mut text);
    SignatureWrapper::new(text.as_ref())?.marshal(into)?;
    value.marshal(into)
}

/// The attributes that identify an item.
fn attributes(id: &str) -> HashMap<String, String> {
    HashMap::from([
        ("application".to_owned(), "matricula".to_owned()),
        ("key".to_owned(), id.to_owned()),
    ])
}

fn method(object: &str, interface: &str, name: &str) -> MarshalledMessage {
    MessageBuilder::new()
        .call(name)
        .on(object)
        .with_interface(format!("org.freedesktop.Secret.{interface}"))
        .at(SERVICE)
        .build()
}

fn push(message: &mut MarshalledMessage, value: impl Marshal) -> Result<(), KeyringError> {
    message.body.push_param(value).map_err(not_understood)
}

fn path(text: &str) -> Result<ObjectPath<&str>, KeyringError> {
    ObjectPath::new(text).map_err(|error| refused(&format!("a path: {error:?}")))
}

fn one_path(answer: &MarshalledMessage) -> Result<String, KeyringError> {
    let path: ObjectPath<String> = answer.body.parser().get().map_err(not_understood)?;
    Ok(path.as_ref().to_owned())
}

/// The time left, as a timeout for the bus.
fn left(until: Instant) -> Timeout {
    // Zero would mean no timeout.
    let left = until.saturating_duration_since(Instant::now());
    Timeout::Duration(left.max(Duration::from_millis(1)))
}

fn failed(error: BusError) -> KeyringError {
    match error {
        BusError::TimedOut => SILENT,
        error => refused(&error.to_string()),
    }
}

fn not_understood(error: impl std::fmt::Debug) -> KeyringError {
    refused(&format!("a malformed answer: {error:?}"))
}

/// Translates an error of the bus.
fn error_of(answer: &MarshalledMessage) -> KeyringError {
    let name = answer.dynheader.error_name.as_deref().unwrap_or_default();
    match name {
        "org.freedesktop.Secret.Error.IsLocked" => KeyringError::Locked,
        "org.freedesktop.DBus.Error.ServiceUnknown"
        | "org.freedesktop.DBus.Error.NameHasNoOwner" => KeyringError::Absent {
            why: "no Secret Service runs in this session".to_owned(),
        },
        name => {
            let words: String = answer.body.parser().get().unwrap_or_default();
            refused(&format!("{name}: {words}"))
        }
    }
}
