-- Encryption: keys of devices and users, messages to devices, key backups. `json` is what a client uploaded.
-- What belongs to a device is deleted with it: a new device may reuse its name.
CREATE TABLE device_keys (
    user INTEGER NOT NULL,
    device TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (user, device),
    FOREIGN KEY (user, device) REFERENCES devices ON DELETE CASCADE
) STRICT;
-- `position` is the order of the uploads, in which the keys are claimed. A claimed key is stored for a
-- while, so that an upload that is repeated does not offer it again.
CREATE TABLE one_time_keys (
    position INTEGER PRIMARY KEY,
    user INTEGER NOT NULL,
    device TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    id TEXT NOT NULL,
    json TEXT NOT NULL,
    is_claimed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (user, device, algorithm, id),
    FOREIGN KEY (user, device) REFERENCES devices ON DELETE CASCADE
) STRICT;
CREATE INDEX one_time_keys_in_order ON one_time_keys (user, device, is_claimed, algorithm, position);
CREATE TABLE fallback_keys (
    user INTEGER NOT NULL,
    device TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    id TEXT NOT NULL,
    json TEXT NOT NULL,
    is_used INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, device, algorithm),
    FOREIGN KEY (user, device) REFERENCES devices ON DELETE CASCADE
) STRICT;
-- The position of the newest change of a device's one-time and fallback keys that its syncs report.
ALTER TABLE devices ADD COLUMN key_counts_changed INTEGER NOT NULL DEFAULT 0;
-- `usage` is `master`, `self_signing` or `user_signing`.
CREATE TABLE cross_signing_keys (
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    usage TEXT NOT NULL,
    public_key TEXT NOT NULL,
    json TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (user, usage)
) STRICT;
-- Signatures that were uploaded after the key that they sign. `target_key` is a device of `target`, or the
-- public key of its master key.
CREATE TABLE key_signatures (
    target INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    target_key TEXT NOT NULL,
    signer INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    key_id TEXT NOT NULL,
    signature TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (target, target_key, signer, key_id)
) STRICT;
CREATE INDEX key_signatures_of_signer ON key_signatures (signer, position);
CREATE TRIGGER delete_signatures_with_device_keys AFTER DELETE ON device_keys BEGIN
    DELETE FROM key_signatures WHERE target = OLD.user AND target_key = OLD.device;
    DELETE FROM key_signatures WHERE signer = OLD.user AND key_id = 'ed25519:' || OLD.device;
END;
CREATE TRIGGER delete_signatures_with_cross_signing_key AFTER DELETE ON cross_signing_keys BEGIN
    DELETE FROM key_signatures WHERE target = OLD.user AND target_key = OLD.public_key;
    DELETE FROM key_signatures WHERE signer = OLD.user AND key_id = 'ed25519:' || OLD.public_key;
END;
-- The position of the newest change of a user's device keys and cross-signing keys that others see.
ALTER TABLE users ADD COLUMN device_list_changed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX device_list_changes ON users (device_list_changed);
CREATE INDEX membership_changes ON events (position) WHERE kind = 'm.room.member';
-- The queues of messages to devices. `event` is JSON, `size` its length in bytes. `sent_in` is the position
-- of the first sync token that follows the message; NULL until a sync has sent it.
CREATE TABLE to_device_messages (
    position INTEGER PRIMARY KEY,
    user INTEGER NOT NULL,
    device TEXT NOT NULL,
    size INTEGER NOT NULL,
    event TEXT NOT NULL,
    sent_in INTEGER,
    FOREIGN KEY (user, device) REFERENCES devices ON DELETE CASCADE
) STRICT;
CREATE INDEX to_device_messages_of_device ON to_device_messages (user, device, position, size);
CREATE INDEX sent_to_device_messages ON to_device_messages (user, device, sent_in)
    WHERE sent_in IS NOT NULL;
-- The transaction ids of messages to devices. `device` is empty for application services.
CREATE TABLE to_device_transactions (
    position INTEGER PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    device TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    UNIQUE (user, device, kind, id)
) STRICT;
CREATE TRIGGER delete_to_device_transactions_with_device AFTER DELETE ON devices BEGIN
    DELETE FROM to_device_transactions WHERE user = OLD.user AND device = OLD.id;
END;
-- Versions are numbered for each user; the number of a deleted version is not used again.
ALTER TABLE users ADD COLUMN newest_key_backup INTEGER NOT NULL DEFAULT 0;
-- `key_count` and `size` (in bytes) are of the keys in `backed_up_keys`.
CREATE TABLE key_backups (
    id INTEGER PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    version INTEGER NOT NULL,
    algorithm TEXT NOT NULL,
    auth_data TEXT NOT NULL,
    etag INTEGER NOT NULL DEFAULT 0,
    key_count INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0,
    UNIQUE (user, version)
) STRICT;
CREATE TABLE backed_up_keys (
    backup INTEGER NOT NULL REFERENCES key_backups ON DELETE CASCADE,
    room TEXT NOT NULL,
    session TEXT NOT NULL,
    is_verified INTEGER NOT NULL,
    first_message_index INTEGER NOT NULL,
    forwarded_count INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (backup, room, session)
) STRICT;
