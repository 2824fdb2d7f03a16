ALTER TABLE users ADD COLUMN is_admin INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN is_locked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN is_suspended INTEGER NOT NULL DEFAULT 0;
-- Each is good for one registration by the shared secret.
CREATE TABLE nonces (
    nonce TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX nonces_by_expiry ON nonces (expires_at);
