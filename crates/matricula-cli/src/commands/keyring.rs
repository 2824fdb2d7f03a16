//! `matricula keyring`: shows and changes where secrets are stored.

use serde_json::json;

use super::Context;
use crate::{args::accounts::Keyring, error::CommandError, keyring};

pub(crate) fn run(context: &Context<'_>, command: &Keyring) -> Result<(), CommandError> {
    let store = context
        .home
        .accounts()
        .with_keyring(keyring::chosen(context.global.keyring));
    let changed = match command {
        Keyring::Status => false,
        Keyring::On => store.seal()?,
        Keyring::Off => store.unseal()?,
    };
    let (sealed, path) = (store.is_sealed()?, store.path());
    let words = match sealed {
        true => format!(
            "the accounts in {} are sealed with a key in the system's keyring",
            path.display()
        ),
        false => format!(
            "the accounts are stored in {}, a file that only you can read",
            path.display()
        ),
    };
    let object = json!({
        "schema_version": 1,
        "kept_in": path,
        "sealed": sealed,
        "changed": changed,
    });
    context.output.result(&words, &object);
    Ok(())
}
