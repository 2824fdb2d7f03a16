-- What users store about their account or, where `room` is not empty, about a room.
CREATE TABLE account_data (
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    room TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (user, room, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX account_data_changes ON account_data (user, position);
CREATE TABLE filters (
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    id INTEGER NOT NULL,
    filter TEXT NOT NULL,
    PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;
-- What a user changed in the default push rules, as JSON.
CREATE TABLE push_rules (
    user INTEGER PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    user_id TEXT NOT NULL UNIQUE,
    rules TEXT NOT NULL,
    position INTEGER NOT NULL
) STRICT;
-- `thread` is empty, `main` or the id of the event that a thread is about. `event_position` is the position
-- of the event that was read, `position` that of the receipt.
CREATE TABLE receipts (
    room TEXT NOT NULL REFERENCES rooms,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    thread TEXT NOT NULL,
    event TEXT NOT NULL,
    event_position INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (room, user_id, kind, thread)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_changes ON receipts (room, position);
CREATE TABLE typing (
    room TEXT NOT NULL REFERENCES rooms,
    user_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (room, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX typing_by_expiry ON typing (expires_at);
-- The position of the newest change of who is typing in the room.
ALTER TABLE rooms ADD COLUMN typing_changed INTEGER NOT NULL DEFAULT 0;
-- `active_at` is when the user last did something, `seen_at` when a client of the user last asked for
-- changes. `is_idle`: the server, and not a client, made the user unavailable.
CREATE TABLE presence (
    user_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    status TEXT,
    is_idle INTEGER NOT NULL DEFAULT 0,
    active_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX presence_changes ON presence (position);
CREATE INDEX presence_by_last_sync ON presence (seen_at) WHERE state <> 'offline';
CREATE INDEX presence_by_activity ON presence (active_at) WHERE state = 'online';
CREATE INDEX member_changes ON room_members (position);
CREATE TABLE openid_tokens (
    digest BLOB PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX openid_tokens_by_expiry ON openid_tokens (expires_at);
CREATE INDEX openid_tokens_of_user ON openid_tokens (user);
-- What users reported to the administrators: a room, an event of a room, or a user.
CREATE TABLE reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    reporter TEXT NOT NULL,
    room TEXT,
    event TEXT,
    user_id TEXT,
    reason TEXT NOT NULL,
    reported_at INTEGER NOT NULL
) STRICT;
