-- The third-party identifiers that the session has validated, as JSON.
ALTER TABLE uia_sessions ADD COLUMN threepids TEXT NOT NULL DEFAULT '[]';
CREATE TABLE threepids (
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    validated_at INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (medium, address)
) STRICT;
CREATE INDEX threepids_of_user ON threepids (user);
-- `token` is the digest of what was sent: the token of a link, or the session id and the code.
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
-- Outbox of mail, in sending order.
CREATE TABLE outgoing_mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
