-- Uploaded files and pending uploads. The bytes are in a file beside the database.
CREATE TABLE media (
    id TEXT PRIMARY KEY,
    uploader INTEGER NOT NULL REFERENCES users,
    created_at INTEGER NOT NULL,
    -- The deadline of a pending upload.
    expires_at INTEGER,
    -- The columns below are NULL until the file is uploaded.
    file TEXT UNIQUE,
    length INTEGER,
    content_type TEXT,
    file_name TEXT,
    CHECK ((file IS NULL) = (length IS NULL) AND (file IS NULL) = (content_type IS NULL))
) STRICT;
CREATE INDEX pending_media ON media (uploader, expires_at) WHERE file IS NULL;
