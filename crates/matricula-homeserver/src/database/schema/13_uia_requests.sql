-- A session is bound to one request: `device` and `body_digest` belong to it, as `owner` and `endpoint`
-- do. `body` is the first body without `auth`, and `result` the response, once there is one. Both are
-- encrypted with the id of the session, of which the database has only the digest.
DELETE FROM uia_sessions;
ALTER TABLE uia_sessions ADD COLUMN device TEXT;
ALTER TABLE uia_sessions ADD COLUMN body_digest BLOB;
ALTER TABLE uia_sessions ADD COLUMN body BLOB;
ALTER TABLE uia_sessions ADD COLUMN result BLOB;
-- The network address of the client that began the session.
ALTER TABLE uia_sessions ADD COLUMN peer TEXT NOT NULL DEFAULT '';
CREATE INDEX unfinished_uia_sessions ON uia_sessions (peer, expires_at) WHERE result IS NULL;
CREATE INDEX finished_uia_sessions ON uia_sessions (expires_at) WHERE result IS NOT NULL;
-- The same of other rows that a client creates without signing in.
ALTER TABLE csrf_tokens ADD COLUMN peer TEXT NOT NULL DEFAULT '';
ALTER TABLE login_tokens ADD COLUMN peer TEXT NOT NULL DEFAULT '';
ALTER TABLE registration_nonces ADD COLUMN peer TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth_clients ADD COLUMN peer TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth_codes ADD COLUMN peer TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth_device_codes ADD COLUMN peer TEXT NOT NULL DEFAULT '';
ALTER TABLE validations ADD COLUMN peer TEXT NOT NULL DEFAULT '';
