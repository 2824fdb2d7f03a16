//! Profiles of servers, and which of them can be combined.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A profile. Each adds to `Open`, so their order does not matter.
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
    Clients,
}

/// Profiles of the first list cannot be combined with those of the second, for this reason.
const CONTRADICTIONS: [(&[Profile], &[Profile], &str); 5] = [
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
        "registration is disabled",
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
        "a server that delegates authentication has no registration or login of its own",
    ),
    (
        &[Profile::Ratelimited],
        &[Profile::Paced],
        "a server has one rate limit for registration",
    ),
    (
        &[Profile::Email],
        &[Profile::EmailOptional],
        "an email address is either required or optional",
    ),
    (
        &[Profile::Clients],
        &[Profile::Appservice, Profile::Oauth],
        "this profile has application services and users of its own",
    ),
];

impl Profile {
    pub(super) const ALL: [Self; 19] = [
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
        Self::Clients,
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
            Self::Clients => "clients",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Open => "open registration",
            Self::Token => "registration needs a token: letmein, once, spent, expired",
            Self::Terms => "registration needs acceptance of terms",
            Self::Guests => "guest registration is enabled",
            Self::Refresh => "refreshable access tokens expire after 5 seconds",
            Self::Shortlived => "access tokens without refresh token expire after 5 seconds",
            Self::Paced => "rate limit: 10 accounts at once, then 5 per second",
            Self::Ratelimited => "rate limit: 3 accounts at once, then one every 4 seconds",
            Self::Closed => "registration is disabled",
            Self::Policy => "passwords: 12 characters, digit, symbol, lower and upper case",
            Self::Email => "registration needs an email address; mails are stored as files",
            Self::EmailOptional => "an email address is optional; mails are stored as files",
            Self::Msisdn => "registration needs a phone number; the code is always the same",
            Self::Recaptcha => "registration needs a captcha; one response is valid",
            Self::Appservice => "an application service with the namespace @bridge_…",
            Self::Logintoken => "signed-in users can create login tokens for other devices",
            Self::Sso => "single sign-on with an OpenID provider that accepts any name",
            Self::Oauth => "OAuth 2.0 only, with the embedded homeserver as authorization server",
            Self::Clients => "guests, a room directory, TURN, application services that get events",
        }
    }
}

/// The list of profiles in the help of `up`.
pub(crate) fn help() -> String {
    let lines =
        Profile::ALL.map(|profile| format!("\n  {:<15} {}", profile.name(), profile.description()));
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

    /// A domain that does not exist and differs from the address, as with real servers.
    pub(crate) fn server_name(&self) -> String {
        format!("{}.test", self.to_string().replace('+', "-"))
    }

    fn check(self) -> Result<Self, String> {
        for (ones, others, why) in CONTRADICTIONS {
            let find = |among: &[Profile]| among.iter().copied().find(|profile| self.has(*profile));
            if let (Some(one), Some(other)) = (find(ones), find(others)) {
                let (one, other) = (one.name(), other.name());
                return Err(format!("`{one}` and `{other}` cannot be combined: {why}"));
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
                format!("unknown profile `{name}`; the profiles are {all}")
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
    fn unknown_profile_error_lists_profiles() {
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
    fn contradicting_profiles_are_rejected() {
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
