//! [Key backups](https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups): versions, and the
//! encrypted keys in them.

use matricula_api::{
    ErrorCode, RoomId, SortedMap,
    client::{
        definitions::{BackupAlgorithm, KeyBackupData, RoomKeyBackup},
        key_backup::{
            CreateRoomKeysVersion, CreateRoomKeysVersionResponse, DeleteRoomKeyBySessionId,
            DeleteRoomKeys, DeleteRoomKeysByRoomId, DeleteRoomKeysVersion,
            DeleteRoomKeysVersionResponse, GetCurrentRoomKeysVersion,
            GetCurrentRoomKeysVersionResponse, GetRoomKeyBySessionId, GetRoomKeys,
            GetRoomKeysByRoomId, GetRoomKeysResponse, GetRoomKeysVersion,
            GetRoomKeysVersionResponse, PutRoomKeyBySessionId, PutRoomKeys, PutRoomKeysByRoomId,
            PutRoomKeysVersion, PutRoomKeysVersionResponse, RoomKeysUpdateResponse,
        },
    },
};
use matricula_core::{StepContext, Timestamp};
use serde_json::{Map, Value};

use super::{
    MAX_BACKUP_BYTES, MAX_BACKUP_KEY, MAX_BACKUP_KEYS, MAX_BACKUPS, check_size, invalid, not_found,
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::{Handler, check_text_length},
    storage::key_backups::{self, BackedUpKeyRow, BackupRow},
};

impl Handler for CreateRoomKeysVersion {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<CreateRoomKeysVersionResponse, HandlerError> {
        let user = context.authenticate_user(cx.now)?.user;
        check_text_length("algorithm", Some(self.algorithm.as_str()))?;
        let auth_data = checked_auth_data(&self.auth_data)?;
        let (versions, _, _) = key_backups::totals(context.tx, user)?;
        if versions >= MAX_BACKUPS {
            let error = format!("an account has at most {MAX_BACKUPS} backups; delete one first");
            return Err(invalid(error).into());
        }
        let algorithm = self.algorithm.as_str();
        let version = key_backups::create(context.tx, user, algorithm, &auth_data)?;
        Ok(CreateRoomKeysVersionResponse::new(version.to_string()))
    }
}

impl Handler for GetCurrentRoomKeysVersion {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetCurrentRoomKeysVersionResponse, HandlerError> {
        let user = context.authenticate_user(cx.now)?.user;
        let backup = key_backups::current(context.tx, user)?;
        let backup = backup.ok_or_else(|| not_found("the account has no backup"))?;
        let mut response = GetCurrentRoomKeysVersionResponse::new(
            BackupAlgorithm::from(&*backup.algorithm),
            serde_json::from_str(&backup.auth_data)?,
            backup.etag.to_string(),
            backup.version.to_string(),
        );
        response.count = Some(backup.key_count.unsigned_abs());
        Ok(response)
    }
}

impl Handler for GetRoomKeysVersion {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRoomKeysVersionResponse, HandlerError> {
        let (_, backup) = readable(context, cx.now, &self.version)?;
        let mut response = GetRoomKeysVersionResponse::new(
            BackupAlgorithm::from(&*backup.algorithm),
            serde_json::from_str(&backup.auth_data)?,
            backup.etag.to_string(),
            backup.version.to_string(),
        );
        response.count = Some(backup.key_count.unsigned_abs());
        Ok(response)
    }
}

impl Handler for PutRoomKeysVersion {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<PutRoomKeysVersionResponse, HandlerError> {
        let (_, backup) = readable(context, cx.now, &self.version)?;
        if self.body_version.is_some_and(|it| it != self.version) {
            return Err(invalid("the version in the body is not the one in the path").into());
        }
        if self.algorithm.as_str() != backup.algorithm {
            let error = "the algorithm of a backup cannot change; create a new version";
            return Err(invalid(error).into());
        }
        let auth_data = checked_auth_data(&self.auth_data)?;
        key_backups::set_auth_data(context.tx, backup.id, &auth_data)?;
        Ok(PutRoomKeysVersionResponse::default())
    }
}

/// Deleting a version again succeeds: a client whose response was lost repeats the request.
impl Handler for DeleteRoomKeysVersion {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeleteRoomKeysVersionResponse, HandlerError> {
        let user = context.authenticate_user(cx.now)?.user;
        let version = parse_version(&self.version).ok_or_else(unknown_version)?;
        if !key_backups::delete(context.tx, user, version)? {
            return Err(unknown_version().into());
        }
        Ok(DeleteRoomKeysVersionResponse::default())
    }
}

fn checked_auth_data(auth_data: &Map<String, Value>) -> Result<String, HandlerError> {
    let json = serde_json::to_string(auth_data)?;
    check_size("auth_data", json.len(), MAX_BACKUP_KEY)?;
    Ok(json)
}

/// The number of a version: in decimal, without leading zeros.
fn parse_version(text: &str) -> Option<i64> {
    let version: i64 = text.parse().ok()?;
    (version.to_string() == text).then_some(version)
}

fn unknown_version() -> ApiError {
    not_found("the account has no backup of this version")
}

/// The user, and the backup of this version.
fn readable(
    context: &RequestContext<'_>,
    now: Timestamp,
    version: &str,
) -> Result<(i64, BackupRow), HandlerError> {
    let user = context.authenticate_user(now)?.user;
    let backup = match parse_version(version) {
        Some(version) => key_backups::find(context.tx, user, version)?,
        None => None,
    };
    Ok((user, backup.ok_or_else(unknown_version)?))
}

/// The same, which must be the current version.
fn writable(
    context: &RequestContext<'_>,
    now: Timestamp,
    version: &str,
) -> Result<(i64, BackupRow), HandlerError> {
    let (user, backup) = readable(context, now, version)?;
    match key_backups::current(context.tx, user)? {
        Some(current) if current.id != backup.id => {
            Err(ApiError::wrong_room_keys_version(current.version).into())
        }
        _ => Ok((user, backup)),
    }
}

impl Handler for PutRoomKeyBySessionId {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RoomKeysUpdateResponse, HandlerError> {
        let mut key = KeyBackupData::new(
            self.first_message_index,
            self.forwarded_count,
            self.is_verified,
            self.session_data,
        );
        key.extra = self.extra;
        let backup = writable(context, cx.now, &self.version)?;
        put_keys(context, backup, [(&self.room_id, &self.session_id, &key)])
    }
}

impl Handler for PutRoomKeysByRoomId {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RoomKeysUpdateResponse, HandlerError> {
        let backup = writable(context, cx.now, &self.version)?;
        let sessions = self.sessions.iter();
        let keys = sessions.map(|(session, key)| (&self.room_id, session, key));
        put_keys(context, backup, keys)
    }
}

impl Handler for PutRoomKeys {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RoomKeysUpdateResponse, HandlerError> {
        let backup = writable(context, cx.now, &self.version)?;
        let keys = self.rooms.iter().flat_map(|(room, keys)| {
            let sessions = keys.sessions.iter();
            sessions.map(move |(session, key)| (room, session, key))
        });
        put_keys(context, backup, keys)
    }
}

/// Stores those of the keys that are better than what the backup has.
fn put_keys<'a>(
    context: &RequestContext<'_>,
    (user, mut backup): (i64, BackupRow),
    keys: impl IntoIterator<Item = (&'a RoomId, &'a String, &'a KeyBackupData)>,
) -> Result<RoomKeysUpdateResponse, HandlerError> {
    let tx = context.tx;
    let (mut better, mut more_keys, mut more_bytes) = (Vec::new(), 0, 0);
    for (room, session, key) in keys {
        check_text_length("the session id", Some(session))?;
        let new = key_row(key)?;
        let stored = key_backups::key(tx, backup.id, room.as_str(), session)?;
        if stored
            .as_ref()
            .is_some_and(|stored| !is_better(&new, stored))
        {
            continue;
        }
        more_keys += i64::from(stored.is_none());
        more_bytes += new.json.len() as i64 - stored.map_or(0, |it| it.json.len() as i64);
        better.push((room, session, new));
    }
    let (_, all_keys, all_bytes) = key_backups::totals(tx, user)?;
    if all_keys + more_keys > MAX_BACKUP_KEYS || all_bytes + more_bytes > MAX_BACKUP_BYTES {
        let error = format!(
            "the backups of an account have at most {MAX_BACKUP_KEYS} keys and \
             {MAX_BACKUP_BYTES} bytes; delete an old one"
        );
        return Err(ApiError::new(413, ErrorCode::TooLarge, error).into());
    }
    for (room, session, row) in &better {
        key_backups::set_key(tx, backup.id, room.as_str(), session, row)?;
    }
    if !better.is_empty() {
        backup.update(tx, more_keys, more_bytes)?;
    }
    Ok(updated(&backup))
}

fn key_row(key: &KeyBackupData) -> Result<BackedUpKeyRow, HandlerError> {
    let json = serde_json::to_string(key)?;
    check_size("a key in a backup", json.len(), MAX_BACKUP_KEY)?;
    // No JSON number that is read is larger.
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Ok(BackedUpKeyRow {
        is_verified: key.is_verified,
        first_message_index: number(key.first_message_index),
        forwarded_count: number(key.forwarded_count),
        json,
    })
}

/// Whether a key replaces another: one that is verified, or decrypts more, or comes more directly.
fn is_better(new: &BackedUpKeyRow, stored: &BackedUpKeyRow) -> bool {
    let rank = |key: &BackedUpKeyRow| {
        (
            !key.is_verified,
            key.first_message_index,
            key.forwarded_count,
        )
    };
    rank(new) < rank(stored)
}

fn updated(backup: &BackupRow) -> RoomKeysUpdateResponse {
    let mut response = RoomKeysUpdateResponse::new(backup.etag.to_string());
    response.count = Some(backup.key_count.unsigned_abs());
    response
}

impl Handler for GetRoomKeyBySessionId {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<KeyBackupData, HandlerError> {
        let (_, backup) = readable(context, cx.now, &self.version)?;
        let (room, session) = (self.room_id.as_str(), &self.session_id);
        let key = key_backups::key(context.tx, backup.id, room, session)?;
        let key = key.ok_or_else(|| not_found("the backup has no key of this session"))?;
        Ok(serde_json::from_str(&key.json)?)
    }
}

impl Handler for GetRoomKeysByRoomId {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RoomKeyBackup, HandlerError> {
        let (_, backup) = readable(context, cx.now, &self.version)?;
        let mut sessions = Vec::new();
        for (_, session, json) in
            key_backups::keys(context.tx, backup.id, Some(self.room_id.as_str()))?
        {
            sessions.push((session, serde_json::from_str(&json)?));
        }
        Ok(RoomKeyBackup::new(sessions.into_iter().collect()))
    }
}

impl Handler for GetRoomKeys {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRoomKeysResponse, HandlerError> {
        let (_, backup) = readable(context, cx.now, &self.version)?;
        let mut rooms: Vec<(RoomId, Vec<(String, KeyBackupData)>)> = Vec::new();
        for (room, session, json) in key_backups::keys(context.tx, backup.id, None)? {
            let key = (session, serde_json::from_str(&json)?);
            match rooms.last_mut() {
                Some((last, keys)) if last.as_str() == room => keys.push(key),
                _ => rooms.push((room.parse()?, vec![key])),
            }
        }
        let rooms = rooms.into_iter().map(|(room, keys)| {
            let sessions: SortedMap<_, _> = keys.into_iter().collect();
            (room, RoomKeyBackup::new(sessions))
        });
        Ok(GetRoomKeysResponse::new(rooms.collect()))
    }
}

impl Handler for DeleteRoomKeyBySessionId {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RoomKeysUpdateResponse, HandlerError> {
        let (_, backup) = readable(context, cx.now, &self.version)?;
        let room = Some(self.room_id.as_str());
        delete_keys(context, backup, room, Some(&self.session_id))
    }
}

impl Handler for DeleteRoomKeysByRoomId {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RoomKeysUpdateResponse, HandlerError> {
        let (_, backup) = readable(context, cx.now, &self.version)?;
        delete_keys(context, backup, Some(self.room_id.as_str()), None)
    }
}

impl Handler for DeleteRoomKeys {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RoomKeysUpdateResponse, HandlerError> {
        let (_, backup) = readable(context, cx.now, &self.version)?;
        delete_keys(context, backup, None, None)
    }
}

fn delete_keys(
    context: &RequestContext<'_>,
    mut backup: BackupRow,
    room: Option<&str>,
    session: Option<&str>,
) -> Result<RoomKeysUpdateResponse, HandlerError> {
    let (keys, bytes) = key_backups::delete_keys(context.tx, backup.id, room, session)?;
    if keys > 0 {
        backup.update(context.tx, -keys, -bytes)?;
    }
    Ok(updated(&backup))
}
