//! [Third-party identifiers](https://spec.matrix.org/v1.19/appendices/#3pid-types): email addresses and
//! telephone numbers.

use matricula_api::ErrorCode;
use matricula_core::Timestamp;
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use crate::{
    Config,
    engine::{
        error::{ApiError, HandlerError},
        storage::threepids::{self, ThreepidRow},
        util::millis,
    },
};

/// The maximum number of identifiers of an account.
const MAX_THREEPIDS: i64 = 100;

/// The kind of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Medium {
    Email,
    Msisdn,
}

impl Medium {
    pub(crate) const ALL: [Self; 2] = [Self::Email, Self::Msisdn];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Msisdn => "msisdn",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// The authentication stage that validates such an identifier.
    pub(crate) const fn stage(self) -> &'static str {
        match self {
            Self::Email => "m.login.email.identity",
            Self::Msisdn => "m.login.msisdn",
        }
    }

    /// Whether the server can validate such an identifier.
    pub(crate) fn is_validated_by(self, config: &Config) -> bool {
        config.mail.as_ref().is_some_and(|it| match self {
            Self::Email => true,
            Self::Msisdn => it.sms_gateway.is_some(),
        })
    }
}

/// A third-party identifier in normalized form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Threepid {
    pub(crate) medium: Medium,
    pub(crate) address: String,
}

impl Threepid {
    /// An email address, in lowercase. Only characters that an SMTP command can contain unquoted are
    /// allowed.
    pub(crate) fn email(text: &str) -> Result<Self, ApiError> {
        let text = text.trim();
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte));
        let parts = text.split_once('@');
        let is_complete = parts.is_some_and(|(name, domain)| {
            !name.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
        if !is_plain || !is_complete || text.len() > 254 {
            let error = "this is not an email address that this server can send mail to";
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
        }
        Ok(Self {
            medium: Medium::Email,
            address: text.to_ascii_lowercase(),
        })
    }

    /// A telephone number: its digits, with the country code.
    pub(crate) fn msisdn(country: &str, number: &str) -> Result<Self, ApiError> {
        let invalid = |error: &'static str| ApiError::new(400, ErrorCode::InvalidParam, error);
        let number = number.trim();
        let is_allowed = |it: char| it.is_ascii_digit() || "+ -().".contains(it);
        if !number.chars().all(is_allowed) {
            return Err(invalid("this is not a telephone number"));
        }
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        let complete = if number.starts_with('+') {
            digits
        } else if let Some(code) = calling_code(country) {
            format!("{code}{}", digits.trim_start_matches('0'))
        } else {
            return Err(invalid(
                "write the telephone number with + and the country code in front",
            ));
        };
        // https://www.itu.int/rec/T-REC-E.164: fifteen digits at most.
        if !(7..=15).contains(&complete.len()) {
            return Err(invalid("a telephone number has 7 to 15 digits"));
        }
        Ok(Self {
            medium: Medium::Msisdn,
            address: complete,
        })
    }

    /// An identifier in the form in which clients see those of an account.
    pub(crate) fn parse(medium: &str, address: &str) -> Option<Self> {
        match Medium::parse(medium)? {
            Medium::Email => Self::email(address).ok(),
            Medium::Msisdn => {
                let number = format!("+{}", address.trim_start_matches('+'));
                Self::msisdn("", &number).ok()
            }
        }
    }

    /// The user whom the identifier belongs to.
    pub(crate) fn owner(&self, tx: &Transaction<'_>) -> rusqlite::Result<Option<i64>> {
        threepids::owner(tx, self.medium.as_str(), &self.address)
    }

    /// Rejects an identifier that belongs to an account.
    pub(crate) fn check_free(&self, tx: &Transaction<'_>) -> Result<(), HandlerError> {
        if self.owner(tx)?.is_none() {
            return Ok(());
        }
        let error = "this address belongs to an account already";
        Err(ApiError::new(400, ErrorCode::ThreepidInUse, error).into())
    }

    /// Adds the identifier to a user. It must not belong to another.
    pub(crate) fn add_to_user(
        &self,
        tx: &Transaction<'_>,
        now: Timestamp,
        user: i64,
        validated_at: i64,
    ) -> Result<(), HandlerError> {
        if self.owner(tx)? != Some(user) {
            self.check_free(tx)?;
            if threepids::count(tx, user)? >= MAX_THREEPIDS {
                let error = format!("an account has at most {MAX_THREEPIDS} addresses");
                return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
            }
        }
        let row = ThreepidRow {
            medium: self.medium.as_str().to_owned(),
            address: self.address.clone(),
            validated_at,
            added_at: millis(now),
        };
        Ok(threepids::insert(tx, user, &row)?)
    }
}

/// The calling codes of some countries, for numbers in national format. Numbers of other countries need
/// the code in front.
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
