//! [Sending](https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room): what happens
//! in a room because somebody says so, and once only.

use matricula_api::{
    EventId, RoomId,
    client::{
        room_send::{SendMessage, SendMessageResponse},
        room_state::{SendStateEvent, SendStateEventResponse},
    },
};
use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::{
    super::{
        limits::Bucket,
        refusal::HandlerError,
        routes::{Handler, RequestContext},
        tokens::Requester,
    },
    MAX_TRANSACTIONS, MEMBER, NewEvent,
    create::parse_object,
    forbidden,
    power::POWER_LEVELS,
};

impl Handler for SendMessage {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SendMessageResponse, HandlerError> {
        let (bearer, user) = call.require_sender(cx.now)?;
        // https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers: per device and endpoint.
        let endpoint = format!("{}/{}", self.room_id, self.event_type);
        if let Some(event) = call.event_of_transaction(&bearer, &endpoint, &self.txn_id)? {
            return Ok(SendMessageResponse::new(event));
        }
        call.count_event(&bearer, cx.now)?;
        call.require_joined(&self.room_id, &user)?;
        call.check_send(&self.room_id, &user, &self.event_type, false)?;
        let content = parse_object(Some(self.body.json()))?.into();
        let new = NewEvent {
            room: &self.room_id,
            kind: &self.event_type,
            state_key: None,
            content: &content,
        };
        let event = call.append_event(cx, &user, &new)?;
        call.save_transaction(&bearer, &endpoint, &self.txn_id)?;
        Ok(SendMessageResponse::new(event.parse::<EventId>()?))
    }
}

impl Handler for SendStateEvent {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SendStateEventResponse, HandlerError> {
        let (bearer, user) = call.require_sender(cx.now)?;
        call.count_event(&bearer, cx.now)?;
        let (room, kind, state_key) = (&self.room_id, &*self.event_type, &*self.state_key);
        call.require_joined(room, &user)?;
        call.check_send(room, &user, kind, true)?;
        if kind == MEMBER || kind == "m.room.create" {
            let error = format!("{kind} is not set by hand; there are endpoints for it");
            return Err(forbidden(error).into());
        }
        if state_key.starts_with('@') && state_key != user.as_str() {
            return Err(forbidden("this state key belongs to another user").into());
        }
        let content = parse_object(Some(self.body.json()))?.into();
        if kind == POWER_LEVELS {
            call.check_levels_change(room, &user, &content)?;
        }
        let event = match call.unchanged_state(room, kind, state_key, &content)? {
            Some(event) => event,
            None => {
                let new = NewEvent {
                    room,
                    kind,
                    state_key: Some(state_key),
                    content: &content,
                };
                call.append_event(cx, &user, &new)?
            }
        };
        Ok(SendStateEventResponse::new(event.parse::<EventId>()?))
    }
}

impl RequestContext<'_> {
    /// Refuses who sends too often.
    fn count_event(&self, bearer: &Requester, now: Timestamp) -> Result<(), HandlerError> {
        let bucket = Bucket {
            kind: "message",
            limit: self.homeserver.config.limits.room_events,
            key: &bearer.localpart,
        };
        bucket.check_and_take(self.tx, now)
    }

    /// What came of this transaction of the device, if it was here before.
    fn event_of_transaction(
        &self,
        bearer: &Requester,
        endpoint: &str,
        id: &str,
    ) -> Result<Option<EventId>, HandlerError> {
        let sql = "SELECT events.id FROM transactions JOIN events ON events.position = event
             WHERE user = ?1 AND device = ?2 AND endpoint = ?3 AND transactions.id = ?4";
        let device = bearer.device.as_deref().unwrap_or_default();
        let with = params![bearer.user, device, endpoint, id];
        let found = self.tx.query_row(sql, with, |row| row.get::<_, String>(0));
        Ok(found.optional()?.map(|id| id.parse()).transpose()?)
    }

    /// What has just happened came of this transaction.
    fn save_transaction(
        &self,
        bearer: &Requester,
        endpoint: &str,
        id: &str,
    ) -> Result<(), HandlerError> {
        let event = self.newest_position()?;
        let device = bearer.device.as_deref().unwrap_or_default();
        self.tx.execute(
            "INSERT INTO transactions (event, user, device, endpoint, id) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![event, bearer.user, device, endpoint, id],
        )?;
        self.tx.execute(
            "DELETE FROM transactions WHERE user = ?1 AND device = ?2 AND event <= (
                 SELECT event FROM transactions WHERE user = ?1 AND device = ?2
                 ORDER BY event DESC LIMIT 1 OFFSET ?3
             )",
            params![bearer.user, device, MAX_TRANSACTIONS],
        )?;
        Ok(())
    }

    /// The event that has set this state as it is to be.
    fn unchanged_state(
        &self,
        room: &RoomId,
        kind: &str,
        state_key: &str,
        content: &serde_json::Value,
    ) -> Result<Option<String>, HandlerError> {
        if self.state_content(room.as_str(), kind, state_key)?.as_ref() != Some(content) {
            return Ok(None);
        }
        let sql = "SELECT id FROM events
             WHERE room = ?1 AND kind = ?2 AND state_key = ?3 ORDER BY position DESC LIMIT 1";
        let with = [room.as_str(), kind, state_key];
        Ok(self.tx.query_row(sql, with, |row| row.get(0)).optional()?)
    }
}
