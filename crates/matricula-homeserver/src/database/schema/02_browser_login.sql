-- One-time tokens. `scope` is the digest of what the token is bound to, such as the page that a form
-- belongs to; `user` is the user who is signed in, if any.
CREATE TABLE csrf_tokens (
    digest BLOB PRIMARY KEY,
    scope BLOB NOT NULL,
    user INTEGER REFERENCES users ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX csrf_tokens_by_expiry ON csrf_tokens (expires_at);
CREATE INDEX csrf_tokens_of_user ON csrf_tokens (user);
CREATE TABLE login_tokens (
    digest BLOB PRIMARY KEY,
    scope BLOB NOT NULL,
    user INTEGER REFERENCES users ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX login_tokens_by_expiry ON login_tokens (expires_at);
CREATE INDEX login_tokens_of_user ON login_tokens (user);
CREATE TABLE oauth_clients (
    id TEXT PRIMARY KEY,
    metadata TEXT NOT NULL UNIQUE,
    used_at INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_clients_by_use ON oauth_clients (used_at);
CREATE TABLE oauth_codes (
    digest BLOB PRIMARY KEY,
    client TEXT NOT NULL REFERENCES oauth_clients ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scope TEXT NOT NULL,
    spent INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_codes_by_expiry ON oauth_codes (expires_at);
CREATE INDEX oauth_codes_of_client ON oauth_codes (client);
CREATE INDEX oauth_codes_of_user ON oauth_codes (user);
-- `user` is set once a person has approved the code. `interval` is in milliseconds.
CREATE TABLE oauth_device_codes (
    digest BLOB PRIMARY KEY,
    user_code BLOB NOT NULL UNIQUE,
    client TEXT NOT NULL REFERENCES oauth_clients ON DELETE CASCADE,
    scope TEXT NOT NULL,
    user INTEGER REFERENCES users ON DELETE CASCADE,
    denied INTEGER NOT NULL DEFAULT 0,
    interval INTEGER NOT NULL,
    next_poll_at INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_device_codes_by_expiry ON oauth_device_codes (expires_at);
CREATE INDEX oauth_device_codes_of_client ON oauth_device_codes (client);
CREATE INDEX oauth_device_codes_of_user ON oauth_device_codes (user);
-- The client that a device's tokens were issued to, and the authorization code that they came from,
-- if any.
CREATE TABLE oauth_sessions (
    user INTEGER NOT NULL,
    device TEXT NOT NULL,
    client TEXT NOT NULL REFERENCES oauth_clients,
    scope TEXT NOT NULL,
    code BLOB,
    PRIMARY KEY (user, device),
    FOREIGN KEY (user, device) REFERENCES devices ON DELETE CASCADE
) STRICT;
CREATE INDEX oauth_sessions_of_client ON oauth_sessions (client);
CREATE INDEX oauth_sessions_of_code ON oauth_sessions (code);
-- Outbox of calls to the homeserver that delegates authentication to this server, in sending order.
CREATE TABLE delegation_calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
