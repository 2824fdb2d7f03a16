-- The key that signs events: an Ed25519 seed, made when it is first needed.
ALTER TABLE server ADD COLUMN signing_key BLOB;
ALTER TABLE rooms ADD COLUMN version TEXT NOT NULL DEFAULT '11';
-- Whether the room is in the directory of public rooms.
ALTER TABLE rooms ADD COLUMN is_listed INTEGER NOT NULL DEFAULT 0;
-- The rest of the event in the format of federation, as a JSON object: what is in no other column. None
-- for events of older versions of this program.
ALTER TABLE events ADD COLUMN envelope TEXT;
ALTER TABLE events ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
-- The position of the event that redacted this one.
ALTER TABLE events ADD COLUMN redacted_by INTEGER REFERENCES events;
-- `rel_type` and `event_id` of `m.relates_to`, until the event is redacted.
ALTER TABLE events ADD COLUMN rel_type TEXT;
ALTER TABLE events ADD COLUMN relates_to TEXT;
-- The place in the history of the room that /messages shows: the position, but for an event that a test
-- of clients made late.
ALTER TABLE events ADD COLUMN place REAL NOT NULL DEFAULT 0;
UPDATE events SET place = position;
CREATE INDEX history_of_room ON events (room, place);
-- Whether /sync leaves the event out, as a test of clients wants.
ALTER TABLE events ADD COLUMN is_hole INTEGER NOT NULL DEFAULT 0;
CREATE INDEX relations ON events (relates_to, rel_type, position) WHERE relates_to IS NOT NULL;
-- Whether a user who left the room wants to see no more of it.
ALTER TABLE room_members ADD COLUMN is_forgotten INTEGER NOT NULL DEFAULT 0;
CREATE TABLE aliases (
    alias TEXT PRIMARY KEY,
    room TEXT NOT NULL REFERENCES rooms,
    creator TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_of_room ON aliases (room);
-- How far an application service was sent events, and the transaction that it is being sent.
CREATE TABLE services (
    id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    transaction_id TEXT,
    body TEXT
) STRICT;
