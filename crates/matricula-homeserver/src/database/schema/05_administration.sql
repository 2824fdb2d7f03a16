ALTER TABLE users ADD COLUMN is_admin INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN is_locked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN is_suspended INTEGER NOT NULL DEFAULT 0;
-- One-time tokens for registration with the shared secret.
CREATE TABLE registration_nonces (
    digest BLOB PRIMARY KEY,
    scope BLOB NOT NULL,
    user INTEGER REFERENCES users ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX registration_nonces_by_expiry ON registration_nonces (expires_at);
