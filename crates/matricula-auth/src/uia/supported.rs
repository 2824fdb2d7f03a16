//! The stages that are completed here, and how much each asks of a person.

use matricula_api::uia::Stage;

/// What is already known, so that the person need not be asked for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KnownAnswers {
    /// A registration token.
    pub(crate) token: bool,
    /// That the person accepts the server's terms.
    pub(crate) terms: bool,
    /// An email address.
    pub(crate) email: bool,
    /// A phone number.
    pub(crate) phone: bool,
    /// The account's password.
    pub(crate) password: bool,
}

/// A stage that is completed here. All others need a page of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SupportedStage {
    Dummy,
    RegistrationToken,
    Terms,
    Password,
    EmailIdentity,
    Msisdn,
}

impl SupportedStage {
    /// `None` if the stage needs a page. A variant that is missing here is reported as dead code.
    pub(super) fn of(stage: &Stage) -> Option<Self> {
        match stage {
            Stage::Dummy => Some(Self::Dummy),
            Stage::RegistrationToken => Some(Self::RegistrationToken),
            Stage::Terms => Some(Self::Terms),
            Stage::Password => Some(Self::Password),
            Stage::EmailIdentity => Some(Self::EmailIdentity),
            Stage::Msisdn => Some(Self::Msisdn),
            _ => None,
        }
    }

    /// How much work the stage is for the person: none, something given already, a click, a code to
    /// copy, a page to open, personal data to give, something to find.
    fn cost(self, known: KnownAnswers) -> u32 {
        let (is_known, cost_if_known, cost) = match self {
            Self::Dummy => return 1,
            Self::RegistrationToken => (known.token, 2, 100),
            Self::Terms => (known.terms, 2, 10),
            Self::Password => (known.password, 2, 20),
            Self::EmailIdentity => (known.email, 12, 40),
            Self::Msisdn => (known.phone, 15, 50),
        };
        if is_known { cost_if_known } else { cost }
    }

    /// What the stage asks of a person, in words.
    fn demand(self, known: KnownAnswers) -> Option<&'static str> {
        let (is_known, demand_if_known, demand) = match self {
            Self::Dummy => return None,
            Self::RegistrationToken => (
                known.token,
                "the registration token that you gave",
                "a registration token",
            ),
            Self::Terms => (
                known.terms,
                "its terms, which you accept",
                "accepting its terms",
            ),
            Self::Password => (known.password, "the password that is known", "the password"),
            Self::EmailIdentity => (
                known.email,
                "proving the email address that you gave",
                "an email address",
            ),
            Self::Msisdn => (
                known.phone,
                "proving the phone number that you gave",
                "a phone number",
            ),
        };
        Some(if is_known { demand_if_known } else { demand })
    }
}

/// How much work a stage is for the person.
pub(super) fn cost(stage: &Stage, known: KnownAnswers) -> u32 {
    match SupportedStage::of(stage) {
        Some(supported) => supported.cost(known),
        None if *stage == Stage::Recaptcha => 30,
        None => 100,
    }
}

/// What a stage asks of a person, in words; `None` if nothing.
pub(super) fn demand(stage: &Stage, known: KnownAnswers) -> Option<&'static str> {
    match SupportedStage::of(stage) {
        Some(supported) => supported.demand(known),
        None => Some(match stage {
            Stage::Recaptcha => "a captcha",
            Stage::Sso => "single sign-on",
            _ => "a page of its own",
        }),
    }
}
