-- The events that a user has not read and that notify the user, by the user's push rules. `thread` is `main`
-- or the id of the event that the thread is about.
CREATE TABLE notifications (
    user_id TEXT NOT NULL,
    room TEXT NOT NULL,
    event INTEGER NOT NULL,
    thread TEXT NOT NULL,
    sender TEXT NOT NULL,
    is_highlight INTEGER NOT NULL,
    PRIMARY KEY (user_id, room, event)
) STRICT, WITHOUT ROWID;
