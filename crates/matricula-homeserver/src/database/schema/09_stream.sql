-- The position of the newest change that a sync reports, of any kind. One row.
CREATE TABLE stream (
    newest INTEGER NOT NULL
) STRICT;
INSERT INTO stream SELECT coalesce(max(position), 0) FROM events;
-- The position of the newest change that the members of the room see.
ALTER TABLE rooms ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
UPDATE rooms SET changed = (SELECT coalesce(max(position), 0) FROM events WHERE room = rooms.id);
-- The current membership of each user of a room; `position` is that of its event.
CREATE TABLE room_members (
    room TEXT NOT NULL REFERENCES rooms,
    user_id TEXT NOT NULL,
    membership TEXT NOT NULL,
    position INTEGER NOT NULL REFERENCES events,
    PRIMARY KEY (room, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX rooms_of_member ON room_members (user_id, membership, room);
INSERT INTO room_members
    SELECT room, state_key, coalesce(content ->> '$.membership', 'leave'), max(position)
    FROM events WHERE kind = 'm.room.member' AND state_key IS NOT NULL
    GROUP BY room, state_key;
