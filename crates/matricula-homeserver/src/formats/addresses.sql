-- The addresses that an authentication has proved, as JSON.
ALTER TABLE uia_sessions ADD COLUMN addresses TEXT NOT NULL DEFAULT '[]';
CREATE TABLE addresses (
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    validated_at INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (medium, address)
) STRICT;
CREATE INDEX addresses_of_user ON addresses (user);
-- `token` is what was sent: the link's, or the code with the session's name before it.
CREATE TABLE validations (
    sid TEXT PRIMARY KEY,
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    client_secret BLOB NOT NULL,
    send_attempt INTEGER NOT NULL,
    token BLOB NOT NULL UNIQUE,
    wrong_codes INTEGER NOT NULL DEFAULT 0,
    next_link TEXT,
    validated_at INTEGER,
    expires_at INTEGER NOT NULL,
    UNIQUE (medium, address, client_secret)
) STRICT;
CREATE INDEX validations_by_expiry ON validations (expires_at);
-- What is still to be sent.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
