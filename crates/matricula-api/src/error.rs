//! Failures of requests, and the standard error of Matrix.

use std::{fmt, time::Duration};

use matricula_core::{Response, lossy_json};
use serde_json::Value;

use crate::{
    Extra,
    codec::{self, Millis, Read, Reader, text_enum},
    uia::{ErrorBody, Flow, UiaInfo},
};

/// The failure of a request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The server sent a [standard error].
    ///
    /// [standard error]: https://spec.matrix.org/v1.19/client-server-api/#standard-error-response
    #[error("{0}")]
    Matrix(MatrixError),
    /// The server requires [user-interactive authentication], or its next stage.
    ///
    /// [user-interactive authentication]: https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
    #[error("the server requires user-interactive authentication")]
    Uia(Box<UiaInfo>),
    /// The server [asks to wait](Response::asks_to_wait): its [rate limit], or maintenance.
    ///
    /// [rate limit]: https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
    #[error("the server accepts no more requests for now{}", wait_text(.retry_after))]
    RateLimited {
        /// How long to wait, if the server says so.
        retry_after: Option<Duration>,
        /// The standard error; `None` if a proxy sent the response.
        error: Option<Box<MatrixError>>,
    },
    /// A successful response with an invalid body.
    #[error("the server's response (status {status}) is invalid: {message}")]
    Malformed {
        /// The HTTP status.
        status: u16,
        /// The reason, with the path in the body.
        message: String,
    },
    /// A failure without a standard error: not a Matrix server, or a proxy.
    #[error("the server answered with status {status} and no Matrix error")]
    UnexpectedStatus {
        /// The HTTP status.
        status: u16,
    },
}

impl ApiError {
    /// The failure that `response` reports; `None` for a success.
    pub fn from_response(response: &Response) -> Option<Self> {
        read(response)
    }

    /// Whether the server, or a proxy before it, says that it failed: see [`MatrixError::is_failure`].
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Matrix(error) => error.is_failure(),
            Self::UnexpectedStatus { status } => is_failure(*status),
            _ => false,
        }
    }
}

fn wait_text(retry_after: &Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| {
        format!("; try again in {:.1} s", wait.as_secs_f64())
    })
}

/// A [standard error](https://spec.matrix.org/v1.19/client-server-api/#standard-error-response).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MatrixError {
    /// The HTTP status.
    pub status: u16,
    /// The error code.
    pub code: ErrorCode,
    /// The server's message for people; may be empty.
    pub message: String,
    /// All other fields, such as `soft_logout` or `admin_contact`.
    pub extra: Extra,
}

impl fmt::Display for MatrixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", "") => write!(f, "status {}", self.status),
            ("", message) => f.write_str(message),
            (code, "") => f.write_str(code),
            (code, message) => write!(f, "{code}: {message}"),
        }
    }
}

/// The failure that `response` reports; `None` for a success.
pub(crate) fn read(response: &Response) -> Option<ApiError> {
    let status = response.status_code();
    if response.success() {
        return None;
    }
    // Proxies also apply rate limits, so the body is not required.
    if response.asks_to_wait() {
        return Some(rate_limited(response));
    }
    // A standard error is a body without flows.
    let text = response.body().text().unwrap_or_default();
    let Ok(ErrorBody { info, has_flows }) = codec::from_text(text) else {
        return Some(ApiError::UnexpectedStatus { status });
    };
    if let Some(message) = no_readable_flow(&info).filter(|_| status == 401) {
        return Some(ApiError::Malformed { status, message });
    }
    // Some servers request authentication with another status. There, an empty list means a refusal.
    let asks = match status {
        401 => has_flows,
        400..=499 => !info.flows.is_empty(),
        _ => false,
    };
    if asks {
        return Some(ApiError::Uia(Box::new(info)));
    }
    match info.code() {
        None => Some(ApiError::UnexpectedStatus { status }),
        Some(ErrorCode::LimitExceeded) => Some(rate_limited(response)),
        Some(code) => Some(ApiError::Matrix(MatrixError::new(status, code, info))),
    }
}

/// The body of a response that asks to wait, parsed once: it arrives under load.
struct RateLimitBody {
    wait: Option<Duration>,
    code: Option<ErrorCode>,
    message: Option<String>,
    extra: Extra,
}

impl Read for RateLimitBody {
    fn read(from: &mut Reader<'_>) -> Result<Self, codec::Error> {
        let (mut wait, mut code, mut message) = (None, None, None);
        let mut extra = Extra::new();
        from.object()?;
        while let Some(key) = from.key()? {
            match &*key {
                "retry_after_ms" => wait = from.optional("retry_after_ms", &mut extra)?,
                "errcode" => code = from.optional("errcode", &mut extra)?,
                "error" => message = from.optional("error", &mut extra)?,
                _ => extra.read(key, from)?,
            }
        }
        Ok(Self {
            wait: wait.map(|Millis(time)| time),
            code,
            message,
            extra,
        })
    }
}

fn rate_limited(response: &Response) -> ApiError {
    let status = response.status_code();
    let text = response.body().text().unwrap_or_default();
    let read: Result<RateLimitBody, _> = codec::from_text(text);
    let retry_after = match (response.header("retry-after"), &read) {
        (None, Ok(read)) if read.wait.is_some() => read.wait,
        // In another form, or absent.
        _ => response.retry_after(),
    };
    let error = read.ok().and_then(|read| {
        let code = read.code?;
        Some(MatrixError {
            status,
            code,
            message: read.message.unwrap_or_default(),
            extra: read.extra,
        })
    });
    let error = error.map(Box::new);
    ApiError::RateLimited { retry_after, error }
}

impl MatrixError {
    /// Whether the server says that it failed. Other errors are refusals: a request like it would be refused
    /// again.
    pub fn is_failure(&self) -> bool {
        is_failure(self.status) && self.code != ErrorCode::Unrecognized
    }

    /// An error with fields of user-interactive authentication that does not request it.
    fn new(status: u16, code: ErrorCode, info: UiaInfo) -> Self {
        let message = info.refusal().unwrap_or_default();
        let mut extra = info.extra;
        if !info.params.is_empty() {
            let params = serde_json::to_string(&info.params).unwrap_or_default();
            let params = lossy_json(&params).unwrap_or_default();
            extra.insert("params".to_owned(), params);
        }
        if let Some(session) = info.session {
            extra.insert("session".to_owned(), Value::String(session));
        }
        Self {
            status,
            code,
            message,
            extra,
        }
    }
}

/// Whether a status says that the server failed, and not that it lacks something.
fn is_failure(status: u16) -> bool {
    status >= 500 && !matches!(status, 501 | 505)
}

/// Why a request for authentication cannot be answered: none of its flows is valid.
fn no_readable_flow(info: &UiaInfo) -> Option<String> {
    let (index, json) = info
        .flows
        .invalid()
        .first()
        .filter(|_| info.flows.is_empty())?;
    let error = codec::from_text::<Flow>(json.json()).err()?;
    let what = error.at(index).at("flows").explain(json.json());
    Some(format!("its request for authentication is invalid: {what}"))
}

text_enum! {
    /// The kind of a [`MatrixError`].
    pub enum ErrorCode {
        /// Not allowed.
        Forbidden = "M_FORBIDDEN",
        /// The access token is unknown or has expired.
        UnknownToken = "M_UNKNOWN_TOKEN",
        /// The access token is missing.
        MissingToken = "M_MISSING_TOKEN",
        /// The account is locked.
        UserLocked = "M_USER_LOCKED",
        /// The account may only leave rooms and redact.
        UserSuspended = "M_USER_SUSPENDED",
        /// The JSON does not match the operation.
        BadJson = "M_BAD_JSON",
        /// The body is not JSON.
        NotJson = "M_NOT_JSON",
        /// The resource does not exist.
        NotFound = "M_NOT_FOUND",
        /// Too many requests.
        LimitExceeded = "M_LIMIT_EXCEEDED",
        /// The server does not know this endpoint or method.
        Unrecognized = "M_UNRECOGNIZED",
        /// Some other error.
        Unknown = "M_UNKNOWN",
        /// The authentication failed.
        Unauthorized = "M_UNAUTHORIZED",
        /// The account was deactivated.
        UserDeactivated = "M_USER_DEACTIVATED",
        /// The user id is taken.
        UserInUse = "M_USER_IN_USE",
        /// The user id is not valid.
        InvalidUsername = "M_INVALID_USERNAME",
        /// The room alias is taken.
        RoomInUse = "M_ROOM_IN_USE",
        /// The initial state of the room is not valid.
        InvalidRoomState = "M_INVALID_ROOM_STATE",
        /// The email address or phone number is taken.
        ThreepidInUse = "M_THREEPID_IN_USE",
        /// The email address or phone number is not known.
        ThreepidNotFound = "M_THREEPID_NOT_FOUND",
        /// The email address or phone number could not be verified.
        ThreepidAuthFailed = "M_THREEPID_AUTH_FAILED",
        /// The server does not accept this email address or phone number.
        ThreepidDenied = "M_THREEPID_DENIED",
        /// The kind of address is not supported.
        ThreepidMediumNotSupported = "M_THREEPID_MEDIUM_NOT_SUPPORTED",
        /// The validation code is wrong.
        TokenIncorrect = "M_TOKEN_INCORRECT",
        /// The email address or phone number is not validated yet.
        SessionNotValidated = "M_SESSION_NOT_VALIDATED",
        /// The validation session has expired.
        SessionExpired = "M_SESSION_EXPIRED",
        /// The validation session is unknown.
        NoValidSession = "M_NO_VALID_SESSION",
        /// The email address is not valid.
        InvalidEmail = "M_INVALID_EMAIL",
        /// The email could not be sent.
        EmailSendError = "M_EMAIL_SEND_ERROR",
        /// The phone number is not valid.
        InvalidAddress = "M_INVALID_ADDRESS",
        /// The text message could not be sent.
        SendError = "M_SEND_ERROR",
        /// The identity server does not support this country or region.
        DestinationRejected = "M_DESTINATION_REJECTED",
        /// The pepper of the lookup is outdated.
        InvalidPepper = "M_INVALID_PEPPER",
        /// The server does not trust this identity server.
        ServerNotTrusted = "M_SERVER_NOT_TRUSTED",
        /// The server does not support the room version.
        UnsupportedRoomVersion = "M_UNSUPPORTED_ROOM_VERSION",
        /// The client asked for an incompatible room version.
        IncompatibleRoomVersion = "M_INCOMPATIBLE_ROOM_VERSION",
        /// The state change would not take effect.
        BadState = "M_BAD_STATE",
        /// Guests may not do this.
        GuestAccessForbidden = "M_GUEST_ACCESS_FORBIDDEN",
        /// A captcha is needed.
        CaptchaNeeded = "M_CAPTCHA_NEEDED",
        /// The captcha was not solved.
        CaptchaInvalid = "M_CAPTCHA_INVALID",
        /// A parameter is missing.
        MissingParam = "M_MISSING_PARAM",
        /// A parameter is not valid.
        InvalidParam = "M_INVALID_PARAM",
        /// Too large.
        TooLarge = "M_TOO_LARGE",
        /// Reserved for an application service.
        Exclusive = "M_EXCLUSIVE",
        /// The server has reached a resource limit.
        ResourceLimitExceeded = "M_RESOURCE_LIMIT_EXCEEDED",
        /// The user has reached a limit. `info_uri` explains it; `can_upgrade` says whether it can
        /// be raised.
        UserLimitExceeded = "M_USER_LIMIT_EXCEEDED",
        /// The server-notices room cannot be left.
        CannotLeaveServerNoticeRoom = "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM",
        /// The password is too weak.
        WeakPassword = "M_WEAK_PASSWORD",
        /// The password is shorter than the server allows (Synapse).
        PasswordTooShort = "M_PASSWORD_TOO_SHORT",
        /// The password lacks a digit (Synapse).
        PasswordNoDigit = "M_PASSWORD_NO_DIGIT",
        /// The password lacks a symbol (Synapse).
        PasswordNoSymbol = "M_PASSWORD_NO_SYMBOL",
        /// The password lacks an upper-case letter (Synapse).
        PasswordNoUppercase = "M_PASSWORD_NO_UPPERCASE",
        /// The password lacks a lower-case letter (Synapse).
        PasswordNoLowercase = "M_PASSWORD_NO_LOWERCASE",
        /// The password is too common (Synapse).
        PasswordInDictionary = "M_PASSWORD_IN_DICTIONARY",
        /// Application services cannot log in.
        AppserviceLoginUnsupported = "M_APPSERVICE_LOGIN_UNSUPPORTED",
        /// A newer backup of the keys exists.
        WrongRoomKeysVersion = "M_WRONG_ROOM_KEYS_VERSION",
        /// The signature is not valid.
        InvalidSignature = "M_INVALID_SIGNATURE",
        /// The terms were not accepted.
        TermsNotSigned = "M_TERMS_NOT_SIGNED",
        /// A room alias is not valid.
        BadAlias = "M_BAD_ALIAS",
        /// The media is not uploaded yet.
        NotYetUploaded = "M_NOT_YET_UPLOADED",
        /// The media was already uploaded.
        CannotOverwriteMedia = "M_CANNOT_OVERWRITE_MEDIA",
        /// This server cannot check whether the user may join.
        UnableToAuthoriseJoin = "M_UNABLE_TO_AUTHORISE_JOIN",
        /// Another server must authorise the join.
        UnableToGrantJoin = "M_UNABLE_TO_GRANT_JOIN",
        /// The pagination token is unknown.
        UnknownPos = "M_UNKNOWN_POS",
        /// The device is unknown.
        UnknownDevice = "M_UNKNOWN_DEVICE",
        /// The application service has no URL.
        UrlNotSet = "M_URL_NOT_SET",
        /// The application service responded with an error.
        BadStatus = "M_BAD_STATUS",
        /// The request to the application service timed out.
        ConnectionTimeout = "M_CONNECTION_TIMEOUT",
        /// The application service could not be reached.
        ConnectionFailed = "M_CONNECTION_FAILED",
        /// The key is too long.
        KeyTooLarge = "M_KEY_TOO_LARGE",
        /// The profile would be too large.
        ProfileTooLarge = "M_PROFILE_TOO_LARGE",
        /// The user blocks this invitation.
        InviteBlocked = "M_INVITE_BLOCKED",
        /// The user has already sent this reaction.
        DuplicateAnnotation = "M_DUPLICATE_ANNOTATION",
        /// The policy server rejected the event.
        Unsafe = "M_UNSAFE",
    }
}
