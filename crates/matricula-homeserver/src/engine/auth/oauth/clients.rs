//! Clients: [dynamic client registration].
//!
//! [dynamic client registration]: https://spec.matrix.org/v1.19/client-server-api/#client-registration

use matricula_api::{
    oauth::{ApplicationType, ClientMetadata, GrantType, OAuthErrorCode},
    server::{OutgoingResponse, read_body},
};
use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use url::Url;

use super::{OAuthError, no_store_json};
use crate::engine::{
    context::RequestContext,
    error::HandlerError,
    html::redirect::{RedirectTarget, is_loopback},
    storage::row_limit::RowLimit,
    util::{ALPHANUMERIC, millis},
};

/// The grants that this server supports.
pub(super) const GRANT_TYPES: [GrantType; 3] = [
    GrantType::AuthorizationCode,
    GrantType::RefreshToken,
    GrantType::DeviceCode,
];

/// The client that registered least recently is evicted first, unless it [has a
/// session](https://spec.matrix.org/v1.19/client-server-api/#dynamic-client-registration-flow).
const LIMIT: RowLimit = RowLimit {
    table: "oauth_clients",
    max: 5_000,
    evictable: "id NOT IN (SELECT client FROM oauth_sessions)",
    order_by: "used_at",
    client: "peer",
};

/// The longest redirect URI, in bytes.
const MAX_TEXT: usize = 2048;
const MAX_REDIRECT_URIS: usize = 16;

/// A registered client.
pub(crate) struct Client {
    pub(super) id: String,
    pub(super) metadata: ClientMetadata,
}

impl Client {
    pub(super) fn find(tx: &Transaction<'_>, id: &str) -> Result<Option<Self>, HandlerError> {
        let metadata: Option<String> = tx
            .query_row(
                "SELECT metadata FROM oauth_clients WHERE id = ?1",
                [id],
                |row| row.get(0),
            )
            .optional()?;
        let Some(metadata) = metadata else {
            return Ok(None);
        };
        let (id, metadata) = (id.to_owned(), serde_json::from_str(&metadata)?);
        Ok(Some(Self { id, metadata }))
    }

    /// The client with the `client_id` of a form.
    pub(super) fn of(context: &RequestContext<'_>, id: &str) -> Result<Self, OAuthError> {
        Self::find(context.tx, id)?.ok_or_else(|| {
            let description = "this client_id is not known; register the client again";
            OAuthError::Response(401, OAuthErrorCode::InvalidClient, description.into())
        })
    }

    /// What people context it.
    pub(super) fn name(&self) -> &str {
        let name = self.metadata.client_name.as_deref();
        let name = name.filter(|name| !name.trim().is_empty());
        name.unwrap_or(&self.metadata.client_uri)
    }

    pub(super) fn may_use(&self, grant: &GrantType) -> bool {
        let grants = self.metadata.grant_types.as_deref().unwrap_or_default();
        grants.contains(grant)
    }

    /// Whether the client registered this redirect URI. On loopback, [any port] is allowed.
    ///
    /// [any port]: https://datatracker.ietf.org/doc/html/rfc8252#section-7.3
    pub(super) fn allows(&self, target: &RedirectTarget, text: &str) -> bool {
        let registered = self.metadata.redirect_uris.iter().flatten();
        let mut registered = registered.filter_map(|uri| Some((uri, RedirectTarget::parse(uri)?)));
        registered.any(|(uri, known)| {
            let (mut asked, mut known) = (target.url().clone(), known.url().clone());
            if asked.scheme() == "http" && is_loopback(&asked) {
                let without_ports = asked.set_port(None).and_then(|()| known.set_port(None));
                return without_ports.is_ok() && asked == known;
            }
            uri == text
        })
    }
}

/// Registers a client. Clients with the same metadata get the same id.
pub(crate) fn register(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, OAuthError> {
    let metadata: ClientMetadata = read_body(&context.request.body)
        .map_err(|error| metadata_error(format!("this is not valid client metadata: {error}")))?;
    let metadata = checked(metadata)?;
    let text = serde_json::to_string(&metadata)?;
    let id = match known(context.tx, cx.now, &text)? {
        Some(id) => id,
        None => insert(context, cx, &text)?,
    };
    let mut answer = serde_json::to_value(&metadata)?;
    answer["client_id"] = id.into();
    Ok(no_store_json(201, &answer))
}

fn known(
    tx: &Transaction<'_>,
    now: Timestamp,
    metadata: &str,
) -> Result<Option<String>, HandlerError> {
    let id = tx
        .query_row(
            "UPDATE oauth_clients SET used_at = ?2 WHERE metadata = ?1 RETURNING id",
            params![metadata, millis(now)],
            |row| row.get(0),
        )
        .optional()?;
    Ok(id)
}

fn insert(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    metadata: &str,
) -> Result<String, HandlerError> {
    LIMIT.make_room(context.tx)?;
    let id = cx.entropy.text(ALPHANUMERIC, 26);
    context.tx.execute(
        "INSERT INTO oauth_clients (id, metadata, used_at, peer) VALUES (?1, ?2, ?3, ?4)",
        params![id, metadata, millis(cx.now), context.request.peer],
    )?;
    Ok(id)
}

fn metadata_error(description: impl Into<String>) -> OAuthError {
    let code = OAuthErrorCode::InvalidClientMetadata;
    OAuthError::new(code, description.into())
}

/// Checks metadata, and reduces it to what this server supports.
fn checked(asked: ClientMetadata) -> Result<ClientMetadata, OAuthError> {
    let base = web_page("client_uri", &asked.client_uri, None)?;
    let base_host = base.host_str().unwrap_or_default().to_owned();
    for (name, uri) in [
        ("logo_uri", &asked.logo_uri),
        ("tos_uri", &asked.tos_uri),
        ("policy_uri", &asked.policy_uri),
    ] {
        if let Some(uri) = uri {
            web_page(name, uri, Some(&base_host))?;
        }
    }
    if asked.client_name.as_ref().is_some_and(|it| it.len() > 255) {
        return Err(metadata_error("client_name is longer than 255 bytes"));
    }
    let is_native = match &asked.application_type {
        Some(ApplicationType::Native) => true,
        None | Some(ApplicationType::Web) => false,
        Some(_) => return Err(metadata_error("application_type must be native or web")),
    };
    let grants = asked
        .grant_types
        .unwrap_or(vec![GrantType::AuthorizationCode]);
    let grants: Vec<_> = GRANT_TYPES
        .into_iter()
        .filter(|known| grants.contains(known))
        .collect();
    let by_browser = grants.contains(&GrantType::AuthorizationCode);
    let redirect_uris = asked.redirect_uris.unwrap_or_default();
    check_redirect_uris(&redirect_uris, by_browser, &base_host, is_native)?;
    let types = asked.response_types.unwrap_or(vec!["code".to_owned()]);
    if by_browser && !types.iter().any(|it| it == "code") {
        return Err(metadata_error("response_types must contain code"));
    }
    let mut metadata = ClientMetadata::new(asked.client_uri)
        .redirect_uris(redirect_uris)
        .response_types(vec!["code".to_owned()])
        .grant_types(grants)
        // Clients have no secrets, whatever they ask for.
        .token_endpoint_auth_method("none")
        .application_type(if is_native {
            ApplicationType::Native
        } else {
            ApplicationType::Web
        });
    metadata.client_name = asked.client_name;
    metadata.logo_uri = asked.logo_uri;
    metadata.tos_uri = asked.tos_uri;
    metadata.policy_uri = asked.policy_uri;
    Ok(metadata)
}

/// Checks the URL of a web page, which must be on this host or a subdomain.
fn web_page(name: &str, uri: &str, base_host: Option<&str>) -> Result<Url, OAuthError> {
    let found = RedirectTarget::parse(uri).filter(|it| it.url().scheme() == "https");
    let Some(url) = found.map(|it| it.url().clone()) else {
        let description = format!("{name} is not an https URL without user and password");
        return Err(metadata_error(description));
    };
    if base_host.is_some_and(|base| !is_below(&url, base)) {
        return Err(metadata_error(format!(
            "{name} is not on the host of client_uri"
        )));
    }
    Ok(url)
}

fn is_below(url: &Url, base_host: &str) -> bool {
    let host = url.host_str().unwrap_or_default();
    let above = host.strip_suffix(base_host);
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn check_redirect_uris(
    uris: &[String],
    are_needed: bool,
    base_host: &str,
    is_native: bool,
) -> Result<(), OAuthError> {
    if are_needed && uris.is_empty() || uris.len() > MAX_REDIRECT_URIS {
        let description = format!("redirect_uris must have 1 to {MAX_REDIRECT_URIS} entries");
        let code = OAuthErrorCode::InvalidRedirectUri;
        return Err(OAuthError::new(code, description));
    }
    let mut uris = uris.iter();
    uris.try_for_each(|uri| check_redirect_uri(uri, base_host, is_native))
}

/// Checks a redirect URI by [the rules].
///
/// [the rules]: https://spec.matrix.org/v1.19/client-server-api/#redirect-uri-validation
fn check_redirect_uri(uri: &str, base_host: &str, is_native: bool) -> Result<(), OAuthError> {
    let wrong = |why: &str| {
        let shown: String = uri.chars().take(200).collect();
        let description = format!("{shown:?} cannot be a redirect URI: {why}");
        Err(OAuthError::new(
            OAuthErrorCode::InvalidRedirectUri,
            description,
        ))
    };
    let Some(target) = RedirectTarget::parse(uri).filter(|_| uri.len() <= MAX_TEXT) else {
        return wrong("a browser cannot be redirected to it");
    };
    let url = target.url();
    if uri.contains('#') {
        return wrong("it has a fragment");
    }
    match url.scheme() {
        "https" if is_below(url, base_host) => Ok(()),
        "https" => wrong("it is not on the host of client_uri"),
        _ if !is_native => wrong("a web client needs an https URL"),
        "http" if !is_loopback(url) => wrong("http is allowed for loopback addresses only"),
        "http" => Ok(()),
        scheme if !is_reversed(scheme, base_host) => {
            wrong("its scheme does not begin with the reversed host of client_uri")
        }
        _ if url.has_authority() => {
            wrong("a private-use scheme must not have a host: use at most one slash")
        }
        _ => Ok(()),
    }
}

/// Whether a scheme begins with the reversed host name: `com.example.app` for `example.com`.
fn is_reversed(scheme: &str, host: &str) -> bool {
    let mut labels = scheme.split('.');
    host.rsplit('.').all(|label| labels.next() == Some(label))
}
