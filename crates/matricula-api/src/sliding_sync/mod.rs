//! Simplified sliding sync, as proposed in [MSC4186] and implemented by Synapse. Hand-written,
//! because it is not in the specification yet.
//!
//! A client requests windows of its room list and single rooms, and with the `pos` of each response
//! the changes since then:
//!
//! ```
//! use matricula_api::sliding_sync::{List, SlidingSync};
//!
//! let newest = List::new(vec![("m.room.name".into(), "".into())], 1).ranges(vec![(0, 19)]);
//! let first = SlidingSync::default()
//!     .conn_id("main")
//!     .lists([("newest".to_owned(), newest)].into());
//! // let response = client.call(first.clone()).await?;
//! let next = first.pos("5/s58_224_0").timeout(std::time::Duration::from_secs(30));
//! ```
//!
//! [MSC4186]: https://github.com/matrix-org/matrix-spec-proposals/pull/4186

mod request;
mod response;

use std::time::Duration;

use matricula_core::{
    Api, Job, Method, Operation, OperationAuth, Response, RetrySafety, ServerUrl,
};

pub use request::{
    AccountData, E2ee, Extensions, Filters, List, Receipts, RoomSubscription, SlidingSync,
    ThreadSubscriptions, ToDevice, Typing,
};
pub use response::{
    AccountDataResponse, DeviceLists, E2eeResponse, ExtensionsResponse, Hero, ListOperation,
    ListResponse, Room, RoomEvents, SlidingSyncResponse, ThreadSubscription,
    ThreadSubscriptionsResponse, ToDeviceResponse,
};

use crate::{ApiError, Endpoint, codec};

/// In [`List::required_state`]: any type, or any state key.
pub const ANY: &str = "*";

/// In [`List::required_state`], as the state key of `m.room.member`: the senders of the events in
/// the timeline.
pub const LAZY: &str = "$LAZY";

/// In [`List::required_state`], as a state key: the user.
pub const ME: &str = "$ME";

/// The flag in `unstable_features` of servers that support this.
pub const FEATURE: &str = "org.matrix.simplified_msc3575";

/// Whether the connection has expired: start again without `pos`.
pub fn is_expired(error: &ApiError) -> bool {
    matches!(error, ApiError::Matrix(error) if error.code.as_str() == "M_UNKNOWN_POS")
}

impl Endpoint for SlidingSync {
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "slidingSync",
        Method::Post,
        "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync",
    )
    .with_auth(OperationAuth::Required)
    // The server sends the same response again for the same `pos`.
    .with_retry_safety(RetrySafety::Idempotent);

    type Response = SlidingSyncResponse;

    #[inline]
    fn job(&self, server: &ServerUrl) -> Job {
        let millis = |timeout: Duration| timeout.as_millis().to_string();
        let pairs = [
            ("pos", self.pos.clone()),
            ("timeout", self.timeout.map(millis)),
            (
                "set_presence",
                self.set_presence.as_ref().map(ToString::to_string),
            ),
        ];
        let job = Job::for_operation(server, Self::OPERATION.path, &Self::OPERATION);
        let pairs = pairs.into_iter();
        let given = pairs.filter_map(|(name, value)| Some((name, value?)));
        let job = given.fold(job, |job, (name, value)| job.with_query(name, value));
        job.with_body(codec::body(self))
    }

    #[inline]
    fn read_success(response: &Response) -> Result<SlidingSyncResponse, ApiError> {
        codec::read(response)
    }
}

/// The operation.
pub const OPERATIONS: &[Operation] = &[SlidingSync::OPERATION];
