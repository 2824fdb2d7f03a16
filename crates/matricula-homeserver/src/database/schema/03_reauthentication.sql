-- Sessions that protect an operation of a signed-in user: `owner` is the user, `endpoint` the method and
-- path of the request.
ALTER TABLE uia_sessions ADD COLUMN owner INTEGER REFERENCES users ON DELETE CASCADE;
ALTER TABLE uia_sessions ADD COLUMN endpoint TEXT;
CREATE INDEX uia_sessions_of_owner ON uia_sessions (owner);
ALTER TABLE users ADD COLUMN is_deactivated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN last_seen_at INTEGER;
ALTER TABLE devices ADD COLUMN last_seen_ip TEXT;
-- `value` is JSON.
CREATE TABLE profile_fields (
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (user, name)
) STRICT;
