//! [Messages to devices](https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging): a queue for
//! each device, from which its syncs take.

use std::collections::BTreeMap;

use matricula_api::{
    ErrorCode, Raw, SortedMap, UserId,
    client::to_device::{SendToDevice, SendToDeviceResponse},
    common::ToDeviceEvent,
};
use matricula_core::StepContext;

use super::{
    MAX_BATCH, MAX_BATCH_BYTES, MAX_MESSAGE, MAX_QUEUE, MAX_QUEUE_BYTES, MAX_SENT_BYTES,
    check_size, local_user,
};
use crate::engine::{
    auth::localpart,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::{Handler, check_text_length},
    storage::{devices, stream, to_device},
};

/// The name that means all devices of a user.
const ALL: &str = "*";

/// A message to be appended to a queue.
struct NewMessage {
    user: i64,
    device: String,
    event: String,
}

impl Handler for SendToDevice {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SendToDeviceResponse, HandlerError> {
        let requester = context.authenticate(cx.now)?;
        check_text_length("the event type", Some(&self.event_type))?;
        check_text_length("the transaction id", Some(&self.txn_id))?;
        let transaction = to_device::SendTransaction {
            user: requester.user,
            device: requester.device.as_deref().unwrap_or_default(),
            kind: &self.event_type,
            id: &self.txn_id,
        };
        if transaction.exists(context.tx)? {
            return Ok(SendToDeviceResponse::default());
        }
        let sender = localpart::user_id(context.config, &requester.localpart)?;
        let (mut messages, mut size, mut recipients) = (Vec::new(), 0, Vec::new());
        for (user_id, by_device) in &self.messages {
            let contents = by_device.values();
            for content in contents {
                check_content(content)?;
            }
            // Other servers are not reached, and messages to unknown users have no recipient.
            let Some(user) = local_user(context, user_id)? else {
                continue;
            };
            for (device, content) in addressed(context, user, by_device)? {
                let event = ToDeviceEvent::new(&*self.event_type, content.clone(), sender.clone());
                let event = serde_json::to_string(&event)?;
                size += event.len();
                check_size("the messages of one request", size, MAX_SENT_BYTES)?;
                check_queue(context, user, user_id, &device, &event)?;
                messages.push(NewMessage {
                    user,
                    device,
                    event,
                });
            }
            recipients.push(user_id);
        }
        transaction.insert(context.tx)?;
        for message in messages {
            to_device::append(context.tx, message.user, &message.device, &message.event)?;
        }
        for user_id in recipients {
            context.changes.add_for_user(user_id.as_str());
        }
        Ok(SendToDeviceResponse::default())
    }
}

fn check_content(content: &Raw) -> Result<(), ApiError> {
    if !content.json().starts_with('{') {
        let error = "the content of a message must be an object";
        return Err(ApiError::new(400, ErrorCode::BadJson, error));
    }
    check_size(
        "the content of a message",
        content.json().len(),
        MAX_MESSAGE,
    )
}

/// The devices of a user that a request addresses. A device gets one message: what is addressed to it alone,
/// or else what is addressed to all.
fn addressed<'a>(
    context: &RequestContext<'_>,
    user: i64,
    by_device: &'a SortedMap<String, Raw>,
) -> Result<BTreeMap<String, &'a Raw>, HandlerError> {
    let mut found = BTreeMap::new();
    for device in devices::list(context.tx, user)? {
        if let Some(content) = by_device.get(&device.id).or_else(|| by_device.get(ALL)) {
            found.insert(device.id, content);
        }
    }
    Ok(found)
}

/// Refuses a message for which a queue has no room. Messages are never dropped: clients could not decrypt
/// what follows.
fn check_queue(
    context: &RequestContext<'_>,
    user: i64,
    user_id: &UserId,
    device: &str,
    event: &str,
) -> Result<(), HandlerError> {
    let (messages, bytes) = to_device::queue_length(context.tx, user, device)?;
    if messages >= MAX_QUEUE || bytes + event.len() as i64 > MAX_QUEUE_BYTES {
        let error = format!(
            "too many messages wait for the device {device} of {user_id}; send later, or leave it out"
        );
        return Err(ApiError::queue_full(error).into());
    }
    Ok(())
}

/// The messages that a sync sends, and the position that its token must have.
pub(super) struct Batch {
    pub(super) events: Vec<Raw<ToDeviceEvent>>,
    pub(super) position: i64,
}

/// Takes the next messages of a device for a sync. Those of earlier syncs are deleted once a token that
/// followed them comes back.
pub(super) fn next_batch(
    context: &RequestContext<'_>,
    user: i64,
    device: &str,
    since: Option<i64>,
    up_to: i64,
) -> Result<Batch, HandlerError> {
    let tx = context.tx;
    if let Some(since) = since {
        to_device::delete_received(tx, user, device, since)?;
    }
    let messages = to_device::oldest(tx, user, device, MAX_BATCH, MAX_BATCH_BYTES)?;
    let mut position = up_to;
    if let Some(last) = messages.last().filter(|it| it.sent_in.is_none()) {
        // With the same token again, the client would seem to have received these messages already.
        if since.is_some_and(|since| since >= up_to) {
            position = stream::next(tx)?;
        }
        to_device::set_sent(tx, user, device, last.position, position)?;
    }
    let events = messages.into_iter().map(|it| Raw::from_json(it.event));
    Ok(Batch {
        events: events.collect::<Result<_, _>>()?,
        position,
    })
}
