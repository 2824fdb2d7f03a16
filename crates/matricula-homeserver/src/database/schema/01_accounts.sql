-- Marks the file as a database of this program: `APPLICATION_ID` in database/mod.rs.
PRAGMA application_id = 0x6d747263;
-- Tokens and session ids are stored as SHA-256 digests, so that a reader of the file cannot use them.
-- Times are milliseconds since the Unix epoch.
CREATE TABLE server (
    name TEXT NOT NULL
) STRICT;
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    localpart TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    is_guest INTEGER NOT NULL,
    accepted_policies TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE devices (
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    id TEXT NOT NULL,
    display_name TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user, id)
) STRICT;
-- `parent` is the refresh token that this one replaces. It is cleared when this token or its access
-- token is first used; the parent is then marked `spent`.
CREATE TABLE refresh_tokens (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    user INTEGER NOT NULL,
    device TEXT NOT NULL,
    parent INTEGER REFERENCES refresh_tokens ON DELETE SET NULL,
    spent INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER,
    FOREIGN KEY (user, device) REFERENCES devices ON DELETE CASCADE
) STRICT;
CREATE INDEX refresh_tokens_of_device ON refresh_tokens (user, device);
CREATE INDEX refresh_tokens_of_parent ON refresh_tokens (parent);
CREATE TABLE access_tokens (
    digest BLOB PRIMARY KEY,
    user INTEGER NOT NULL,
    device TEXT NOT NULL,
    refresh_token INTEGER REFERENCES refresh_tokens ON DELETE CASCADE,
    expires_at INTEGER,
    FOREIGN KEY (user, device) REFERENCES devices ON DELETE CASCADE
) STRICT;
CREATE INDEX access_tokens_of_device ON access_tokens (user, device);
CREATE INDEX access_tokens_of_refresh_token ON access_tokens (refresh_token);
CREATE TABLE registration_tokens (
    token TEXT PRIMARY KEY,
    uses_allowed INTEGER,
    completed INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER
) STRICT;
-- User-interactive authentication. `params` holds the registration parameters as JSON, `user` the
-- account that the session created.
CREATE TABLE uia_sessions (
    digest BLOB PRIMARY KEY,
    params TEXT NOT NULL,
    completed TEXT NOT NULL,
    presented_policies TEXT,
    registration_token TEXT,
    user INTEGER REFERENCES users ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX uia_sessions_by_expiry ON uia_sessions (expires_at);
CREATE INDEX uia_sessions_of_token ON uia_sessions (registration_token);
CREATE INDEX uia_sessions_of_user ON uia_sessions (user);
-- Rate-limit buckets. `full_at` is the time at which a bucket is full again, in microseconds.
CREATE TABLE rate_limits (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    full_at INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;
CREATE INDEX rate_limits_by_time ON rate_limits (full_at);
