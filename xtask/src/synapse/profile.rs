//! The ways in which a server lets people in, and which of them go together.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One way in. Each only adds to `Open`, so that they combine in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Profile {
    Open,
    Token,
    Terms,
    Guests,
    Refresh,
    Shortlived,
    Ratelimited,
    Paced,
    Closed,
    Policy,
    Email,
    EmailOptional,
    Msisdn,
    Recaptcha,
    Appservice,
    Logintoken,
    Sso,
    Oauth,
}

/// Those of the first list contradict those of the second.
const CONTRADICTIONS: [(&[Profile], &[Profile], &str); 4] = [
    (
        &[Profile::Closed],
        &[
            Profile::Open,
            Profile::Token,
            Profile::Terms,
            Profile::Ratelimited,
            Profile::Paced,
            Profile::Email,
            Profile::EmailOptional,
            Profile::Msisdn,
            Profile::Recaptcha,
        ],
        "where nobody may register, it does not matter how",
    ),
    (
        &[Profile::Oauth],
        &[
            Profile::Open,
            Profile::Token,
            Profile::Terms,
            Profile::Guests,
            Profile::Shortlived,
            Profile::Ratelimited,
            Profile::Paced,
            Profile::Closed,
            Profile::Policy,
            Profile::Email,
            Profile::EmailOptional,
            Profile::Msisdn,
            Profile::Recaptcha,
            Profile::Logintoken,
            Profile::Sso,
        ],
        "a server that delegates lets nobody in itself",
    ),
    (
        &[Profile::Ratelimited],
        &[Profile::Paced],
        "a server has one limit on registration",
    ),
    (
        &[Profile::Email],
        &[Profile::EmailOptional],
        "an address is either needed or not",
    ),
];

impl Profile {
    pub(super) const ALL: [Self; 18] = [
        Self::Open,
        Self::Token,
        Self::Terms,
        Self::Guests,
        Self::Refresh,
        Self::Shortlived,
        Self::Ratelimited,
        Self::Paced,
        Self::Closed,
        Self::Policy,
        Self::Email,
        Self::EmailOptional,
        Self::Msisdn,
        Self::Recaptcha,
        Self::Appservice,
        Self::Logintoken,
        Self::Sso,
        Self::Oauth,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Token => "token",
            Self::Terms => "terms",
            Self::Guests => "guests",
            Self::Refresh => "refresh",
            Self::Shortlived => "shortlived",
            Self::Ratelimited => "ratelimited",
            Self::Paced => "paced",
            Self::Closed => "closed",
            Self::Policy => "policy",
            Self::Email => "email",
            Self::EmailOptional => "email-optional",
            Self::Msisdn => "msisdn",
            Self::Recaptcha => "recaptcha",
            Self::Appservice => "appservice",
            Self::Logintoken => "logintoken",
            Self::Sso => "sso",
            Self::Oauth => "oauth",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Open => "anyone may register",
            Self::Token => "a registration token is asked: letmein, once, spent, expired",
            Self::Terms => "terms are to be accepted",
            Self::Guests => "guests may register too",
            Self::Refresh => "access tokens that can be refreshed live 5 seconds",
            Self::Shortlived => "access tokens that cannot be refreshed live 5 seconds",
            Self::Paced => "10 accounts at once, then 5 a second",
            Self::Ratelimited => "3 accounts at once, then one every 4 seconds",
            Self::Closed => "nobody may register",
            Self::Policy => "passwords: 12 characters, digit, symbol, lower and upper case",
            Self::Email => "an email address is needed; mails are kept as files",
            Self::EmailOptional => "an email address may be given; mails are kept as files",
            Self::Msisdn => "a phone number is needed; every one is sent the same code",
            Self::Recaptcha => "a captcha is to be solved; one response to it is good",
            Self::Appservice => "an application service has users @bridge_…",
            Self::Logintoken => "who is signed in gets login tokens for other devices",
            Self::Sso => "an OpenID provider signs people in too, by the name they give",
            Self::Oauth => {
                "people sign in and up by OAuth 2.0 alone, on pages of the embedded server"
            }
        }
    }
}

/// The profiles for the help of `up`.
pub(crate) fn help() -> String {
    let lines =
        Profile::ALL.map(|profile| format!("\n  {:<15} {}", profile.name(), profile.sentence()));
    format!("Profiles:{}", lines.concat())
}

/// A combination of profiles: `token+terms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profiles(BTreeSet<Profile>);

impl Profiles {
    pub(crate) fn has(&self, profile: Profile) -> bool {
        self.0.contains(&profile)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Profile> {
        self.0.iter().copied()
    }

    /// A domain that exists nowhere and that differs from the address, as real ones do.
    pub(crate) fn server_name(&self) -> String {
        format!("{}.test", self.to_string().replace('+', "-"))
    }

    fn check(self) -> Result<Self, String> {
        for (ones, others, why) in CONTRADICTIONS {
            let find = |among: &[Profile]| among.iter().copied().find(|profile| self.has(*profile));
            if let (Some(one), Some(other)) = (find(ones), find(others)) {
                let (one, other) = (one.name(), other.name());
                return Err(format!("`{one}` and `{other}` do not go together: {why}"));
            }
        }
        Ok(self)
    }
}

impl FromStr for Profiles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let find = |name| {
            let mut all = Profile::ALL.into_iter();
            all.find(|profile| profile.name() == name).ok_or_else(|| {
                let all = Profile::ALL.map(Profile::name).join(", ");
                format!("there is no profile `{name}`; there are {all}")
            })
        };
        text.split('+')
            .map(find)
            .collect::<Result<_, _>>()
            .map(Self)?
            .check()
    }
}

impl fmt::Display for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|profile| profile.name()).collect();
        f.write_str(&names.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_named_and_unknown_ones_are_refused_with_the_list() {
        let profiles: Profiles = "terms+token".parse().unwrap();
        assert_eq!(profiles.to_string(), "token+terms");
        assert_eq!(profiles.server_name(), "token-terms.test");
        let error = "token+tokens".parse::<Profiles>().unwrap_err();
        assert!(
            error.contains("`tokens`") && error.contains("shortlived"),
            "{error}"
        );
        assert!("".parse::<Profiles>().is_err());
    }
    #[test]
    fn what_contradicts_itself_is_refused_by_name() {
        for (profiles, one, other) in [
            ("open+closed", "`closed`", "`open`"),
            ("recaptcha+closed", "`closed`", "`recaptcha`"),
            ("email+msisdn+email-optional", "`email`", "`email-optional`"),
            ("oauth+appservice+sso", "`oauth`", "`sso`"),
        ] {
            let error = profiles.parse::<Profiles>().unwrap_err();
            assert!(error.contains(one) && error.contains(other), "{error}");
        }
        for profiles in [
            "token+terms+email+msisdn+recaptcha",
            "closed+appservice+sso",
            "oauth+refresh+appservice",
            "email-optional+logintoken",
        ] {
            assert!(profiles.parse::<Profiles>().is_ok(), "{profiles}");
        }
    }
}
