//! Addresses that people are reached at outside Matrix: how they are written, whose they are.

mod account;
mod confirm;
mod request;
mod validation;

use matricula_api::ErrorCode;
use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    millis,
    refusal::{ApiError, HandlerError},
};
use crate::Config;

pub(super) use validation::Validation;

/// How many addresses an account has at most.
const MAX_ADDRESSES: i64 = 100;

/// What kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Medium {
    Email,
    Msisdn,
}

impl Medium {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Msisdn => "msisdn",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Email, Self::Msisdn]
            .into_iter()
            .find(|it| it.as_str() == text)
    }

    /// The stage in which such an address is proved.
    pub(super) const fn stage(self) -> &'static str {
        match self {
            Self::Email => "m.login.email.identity",
            Self::Msisdn => "m.login.msisdn",
        }
    }
}

impl Config {
    /// Whether an address of this kind can be proved here.
    pub(super) fn can_validate(&self, medium: Medium) -> bool {
        self.mail.as_ref().is_some_and(|it| match medium {
            Medium::Email => true,
            Medium::Msisdn => it.sms_gateway.is_some(),
        })
    }

    fn sms_gateway(&self) -> Option<&str> {
        self.mail.as_ref()?.sms_gateway.as_deref()
    }
}

/// An address, written in the one way in which it is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Threepid {
    pub(super) medium: Medium,
    pub(super) address: String,
}

impl Threepid {
    /// An email address. Only what can stand in a mail's envelope as it is; in small letters, for
    /// nobody tells people apart by the others.
    pub(super) fn email(text: &str) -> Result<Self, ApiError> {
        let text = text.trim();
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte));
        let parts = text.split_once('@');
        let is_whole = parts.is_some_and(|(name, domain)| {
            !name.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
        if !is_plain || !is_whole || text.len() > 254 {
            let error = "this is not an email address that this server can write to";
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
        }
        Ok(Self {
            medium: Medium::Email,
            address: text.to_ascii_lowercase(),
        })
    }

    /// A telephone number, as its digits with the country's code and nothing else.
    pub(super) fn msisdn(country: &str, number: &str) -> Result<Self, ApiError> {
        let wrong = |error: &'static str| ApiError::new(400, ErrorCode::InvalidParam, error);
        let number = number.trim();
        if !number
            .chars()
            .all(|it| it.is_ascii_digit() || "+ -().".contains(it))
        {
            return Err(wrong("this is not a telephone number"));
        }
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        let whole = if number.starts_with('+') {
            digits
        } else if let Some(code) = calling_code(country) {
            format!("{code}{}", digits.trim_start_matches('0'))
        } else {
            return Err(wrong(
                "write the telephone number with + and the country's code in front",
            ));
        };
        // https://www.itu.int/rec/T-REC-E.164: fifteen digits at most.
        if !(7..=15).contains(&whole.len()) {
            return Err(wrong("a telephone number has 7 to 15 digits"));
        }
        Ok(Self {
            medium: Medium::Msisdn,
            address: whole,
        })
    }

    /// An address as it is known already, such as one of an account.
    pub(super) fn parse(medium: &str, address: &str) -> Option<Self> {
        match Medium::parse(medium)? {
            Medium::Email => Self::email(address).ok(),
            Medium::Msisdn => {
                let number = format!("+{}", address.trim_start_matches('+'));
                Self::msisdn("", &number).ok()
            }
        }
    }

    /// Whose it is.
    pub(super) fn owner(&self, tx: &Transaction<'_>) -> Result<Option<i64>, HandlerError> {
        let owner = tx
            .query_row(
                "SELECT user FROM addresses WHERE medium = ?1 AND address = ?2",
                params![self.medium.as_str(), self.address],
                |row| row.get(0),
            )
            .optional()?;
        Ok(owner)
    }

    /// Refuses an address that is somebody's.
    pub(super) fn check_free(&self, tx: &Transaction<'_>) -> Result<(), HandlerError> {
        match self.owner(tx)? {
            Some(_) => {
                let error = "this address belongs to an account already";
                Err(ApiError::new(400, ErrorCode::ThreepidInUse, error).into())
            }
            None => Ok(()),
        }
    }

    /// Makes it the user's; it must be nobody's, or the user's own.
    pub(super) fn add_to_user(
        &self,
        tx: &Transaction<'_>,
        now: Timestamp,
        user: i64,
        validated_at: i64,
    ) -> Result<(), HandlerError> {
        if self.owner(tx)? != Some(user) {
            self.check_free(tx)?;
            let sql = "SELECT count(*) FROM addresses WHERE user = ?1";
            let count: i64 = tx.query_row(sql, [user], |row| row.get(0))?;
            if count >= MAX_ADDRESSES {
                let error = format!("an account has at most {MAX_ADDRESSES} addresses");
                return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
            }
        }
        tx.execute(
            "INSERT OR REPLACE INTO addresses (medium, address, user, validated_at, added_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                self.medium.as_str(),
                self.address,
                user,
                validated_at,
                millis(now)
            ],
        )?;
        Ok(())
    }
}

/// The calling code of some countries, for numbers that are written as they are dialled there. All
/// others are written with it.
fn calling_code(country: &str) -> Option<&'static str> {
    let code = match country.to_ascii_uppercase().as_str() {
        "US" | "CA" => "1",
        "FR" => "33",
        "ES" => "34",
        "IT" => "39",
        "GB" => "44",
        "SE" => "46",
        "DE" => "49",
        _ => return None,
    };
    Some(code)
}
