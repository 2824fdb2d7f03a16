//! Registration by whoever knows a secret of the server's, even where registration is closed.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use matricula_api::{
    ErrorCode,
    server::OutgoingResponse,
    synapse::{GetNonceResponse, RegisterBySecret},
};
use matricula_core::{Secret, StepContext};
use rusqlite::params;
use sha1::Sha1;

use crate::engine::{
    account::profile::check_display_name,
    bounds::RowLimit,
    millis, passwords,
    refusal::{ApiError, HandlerError},
    register::NewUser,
    routes::RequestContext,
    tokens::ALPHANUMERIC,
    uia::RegistrationParams,
};

/// How long a nonce is good for.
const LIFETIME: Duration = Duration::from_secs(60);

/// Beyond it the oldest is forgotten.
const NONCES: RowLimit = RowLimit {
    table: "nonces",
    max: 1_000,
    evictable: "true",
    order_by: "expires_at",
};

impl RequestContext<'_> {
    fn shared_secret(&self) -> Result<&Secret, ApiError> {
        let secret = self.homeserver.config.registration_shared_secret.as_ref();
        secret.ok_or_else(|| {
            let error = "this server has no shared secret for registration";
            ApiError::new(400, ErrorCode::Unknown, error)
        })
    }

    pub(super) fn nonce(&self, cx: &mut StepContext<'_>) -> Result<OutgoingResponse, HandlerError> {
        self.shared_secret()?;
        let sql = "DELETE FROM nonces WHERE expires_at <= ?1";
        self.tx.execute(sql, [millis(cx.now)])?;
        NONCES.make_room(self.tx)?;
        let nonce = cx.entropy.text(ALPHANUMERIC, 32);
        self.tx.execute(
            "INSERT INTO nonces (nonce, expires_at) VALUES (?1, ?2)",
            params![nonce, millis(cx.now.plus(LIFETIME))],
        )?;
        Ok(OutgoingResponse::json(&GetNonceResponse::new(nonce)))
    }

    pub(super) fn register_by_secret(
        &self,
        cx: &mut StepContext<'_>,
    ) -> Result<OutgoingResponse, HandlerError> {
        let secret = self.shared_secret()?;
        let asked: RegisterBySecret = self.json_body()?;
        let spent = self.tx.execute(
            "DELETE FROM nonces WHERE nonce = ?1 AND expires_at > ?2",
            params![asked.nonce, millis(cx.now)],
        )?;
        if spent == 0 {
            let error = "this nonce is not known, was used or has expired; ask for another";
            return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
        }
        // Or one text could be taken for another.
        if asked.username.contains('\0') || asked.password.expose().contains('\0') {
            let error = "neither a username nor a password has a NUL in it";
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
        }
        if !is_signed(secret, &asked) {
            let error = "the mac is wrong: is it the same shared secret?";
            return Err(ApiError::new(403, ErrorCode::Unknown, error).into());
        }
        let localpart = self
            .homeserver
            .available_localpart(self.tx, &asked.username, None)?;
        let password = asked.password.expose();
        passwords::check(&self.homeserver.config.password_policy, password)?;
        if let Some(name) = &asked.displayname {
            check_display_name(name)?;
        }
        let hash = passwords::hash(cx, password)?;
        let account = NewUser {
            localpart: Some(&localpart),
            password_hash: Some(&hash),
            ..NewUser::default()
        };
        let user = account.insert(self.tx, cx.now)?;
        if asked.admin == Some(true) {
            self.set_flag(user, "is_admin", true)?;
        }
        if let Some(name) = &asked.displayname {
            self.set_display_name(user, name)?;
        }
        let answer = self.homeserver.registration_response(
            cx,
            self.tx,
            user,
            &RegistrationParams::default(),
        )?;
        Ok(OutgoingResponse::json(&answer))
    }
}

fn is_signed(secret: &Secret, asked: &RegisterBySecret) -> bool {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()) else {
        return false;
    };
    let admin = match asked.admin {
        Some(true) => "admin",
        _ => "notadmin",
    };
    let texts = [
        asked.nonce.as_str(),
        &asked.username,
        asked.password.expose(),
        admin,
    ];
    mac.update(texts.join("\0").as_bytes());
    let given = from_hexadecimal(asked.mac.expose());
    given.is_some_and(|given| mac.verify_slice(&given).is_ok())
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|it| it.len() == 2)?;
            let is_plain = pair.bytes().all(|it| it.is_ascii_hexdigit());
            is_plain
                .then(|| u8::from_str_radix(pair, 16).ok())
                .flatten()
        })
        .collect()
}
