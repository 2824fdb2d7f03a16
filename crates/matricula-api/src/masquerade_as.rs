//! In whose name an application service acts: by hand, since the specification's data lacks it.

use matricula_core::Job;

use crate::UserId;

/// Lets a request of the client-server API act as a user, and on request a device, of the application
/// service whose token it takes.
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
