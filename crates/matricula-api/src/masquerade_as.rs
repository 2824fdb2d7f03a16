//! Identity assertion of application services. Hand-written, because the OpenAPI data lacks it.

use matricula_core::Job;

use crate::UserId;

/// Makes a request with the token of an application service act as one of its users, and optionally
/// as a device.
///
/// ```
/// use matricula_api::{Endpoint, masquerade_as, client::whoami::WhoAmI};
///
/// let job = WhoAmI {}.job(&"https://matrix.example.org".parse()?);
/// let job = masquerade_as(job, &"@_irc_alice:example.org".parse()?, None);
/// assert_eq!(job.request_query(), [("user_id".into(), "@_irc_alice:example.org".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [Specification](https://spec.matrix.org/v1.19/application-service-api/#identity-assertion)
pub fn masquerade_as(job: Job, user: &UserId, device: Option<&str>) -> Job {
    let job = job.with_query("user_id", user.as_str());
    match device {
        Some(device) => job.with_query("device_id", device),
        None => job,
    }
}
