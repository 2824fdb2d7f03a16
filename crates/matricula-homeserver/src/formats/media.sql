-- What was uploaded, or may yet be. The bytes are in a file beside the database.
CREATE TABLE media (
    id TEXT PRIMARY KEY,
    uploader INTEGER NOT NULL REFERENCES users,
    created_at INTEGER NOT NULL,
    -- The last moment to upload what is only announced.
    expires_at INTEGER,
    -- All that follows is absent until it is uploaded.
    file TEXT UNIQUE,
    length INTEGER,
    content_type TEXT,
    file_name TEXT,
    CHECK ((file IS NULL) = (length IS NULL) AND (file IS NULL) = (content_type IS NULL))
) STRICT;
CREATE INDEX announced_media ON media (uploader, expires_at) WHERE file IS NULL;
