CREATE TABLE rooms (
    id TEXT PRIMARY KEY,
    creator INTEGER NOT NULL REFERENCES users,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX rooms_of_creator ON rooms (creator);
-- The events of all rooms in one order. A sync token is a `position`.
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    room TEXT NOT NULL REFERENCES rooms,
    kind TEXT NOT NULL,
    state_key TEXT,
    sender TEXT NOT NULL,
    content TEXT NOT NULL,
    sent_at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_of_room ON events (room, position);
CREATE INDEX state_of_room ON events (room, kind, state_key, position) WHERE state_key IS NOT NULL;
CREATE INDEX memberships ON events (state_key, room, position) WHERE kind = 'm.room.member';
-- The event that each transaction id created. `device` is empty for application services.
CREATE TABLE transactions (
    event INTEGER PRIMARY KEY REFERENCES events,
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    device TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    id TEXT NOT NULL,
    UNIQUE (user, device, endpoint, id)
) STRICT;
