// matrix-js-sdk with its Rust cryptography: keys, cross-signing, secret storage, backup, encrypted rooms.
import * as sdk from "matrix-js-sdk";
import { clientOf, register, start } from "./js_sdk_support.mjs";
import { assert, end, equal, password, refused, step, until, url } from "./steps.mjs";

let alice, bob, aliceId, bobId, roomId, recovery;
const secrets = new Map();

const cryptoCallbacks = {
    getSecretStorageKey: async ({ keys }) => {
        const id = Object.keys(keys).find((each) => secrets.has(each)) ?? Object.keys(keys)[0];
        return [id, secrets.get(id) ?? recovery.privateKey];
    },
    cacheSecretStorageKey: (id, _, key) => secrets.set(id, key),
};

async function encrypting(session) {
    const client = clientOf(session, { cryptoCallbacks });
    await client.initRustCrypto({ useIndexedDB: false });
    return client;
}

async function logIn(user) {
    const identifier = { type: "m.id.user", user };
    return sdk.createClient({ baseUrl: url }).loginRequest({ type: "m.login.password", identifier, password });
}

/** Answers the request for a password, as a person would. */
function withPassword(user) {
    return async (request) => {
        try {
            return await request(null);
        } catch (error) {
            if (error.httpStatus !== 401) throw error;
            const identifier = { type: "m.id.user", user };
            return request({ type: "m.login.password", session: error.data.session, identifier, password });
        }
    };
}

async function decrypted(client, eventId, room = roomId) {
    const event = await until("the encrypted event", () => client.getRoom(room)?.findEventById(eventId));
    await until("its clear text", () => event.getType() !== "m.room.encrypted" && !event.isDecryptionFailure());
    return event.getContent().body;
}

await step("start with cryptography", async () => {
    alice = await encrypting(await register("js-carol"));
    bob = await encrypting(await register("js-dave"));
    [aliceId, bobId] = [alice.getUserId(), bob.getUserId()];
    await start(alice);
    await start(bob);
});

const query = (client, user) =>
    client.http.authedRequest("POST", "/keys/query", undefined, { device_keys: { [user]: [] } });

await step("device keys are uploaded", async () => {
    const device = await until("the keys", async () =>
        (await query(alice, bobId)).device_keys?.[bobId]?.[bob.getDeviceId()]);
    equal(Object.keys(device.signatures), [bobId], "signers");
    const counts = await bob.http.authedRequest("POST", "/keys/upload", undefined, {});
    return counts.one_time_key_counts;
});

await step("set up cross-signing", async () => {
    for (const client of [alice, bob]) {
        await client.getCrypto().bootstrapCrossSigning({
            authUploadDeviceSigningKeys: withPassword(client.getUserId()),
        });
    }
    const found = await query(alice, aliceId);
    assert(found.user_signing_keys[aliceId], "own user-signing key");
    const others = await query(bob, aliceId);
    assert(!others.user_signing_keys?.[aliceId], "the user-signing key is hidden from others");
    const status = await until("own device signed", async () => {
        const status = await alice.getCrypto().getDeviceVerificationStatus(aliceId, alice.getDeviceId());
        return status?.signedByOwner && status;
    });
    return [status.signedByOwner, await alice.getCrypto().isCrossSigningReady()];
});

await step("set up secret storage and backup", async () => {
    const crypto = alice.getCrypto();
    recovery = await crypto.createRecoveryKeyFromPassphrase();
    await crypto.bootstrapSecretStorage({
        createSecretStorageKey: async () => recovery,
        setupNewKeyBackup: true,
    });
    const version = await until("an active backup", () => crypto.getActiveSessionBackupVersion());
    return [version, await crypto.isSecretStorageReady()];
});

await step("send and read in an encrypted room", async () => {
    const made = await alice.createRoom({
        preset: "private_chat",
        invite: [bobId],
        initial_state: [{
            type: "m.room.encryption",
            state_key: "",
            content: { algorithm: "m.megolm.v1.aes-sha2" },
        }],
    });
    roomId = made.room_id;
    await until("the invite", () => bob.getRoom(roomId)?.getMyMembership() === "invite");
    await bob.joinRoom(roomId);
    await until("bob at alice", () => alice.getRoom(roomId)?.getMember(bobId)?.membership === "join");
    const sent = await alice.sendTextMessage(roomId, "for bob only");
    return decrypted(bob, sent.event_id);
});

await step("the answer is read", async () => {
    const sent = await bob.sendTextMessage(roomId, "for alice only");
    return decrypted(alice, sent.event_id);
});

await step("edit and react in an encrypted room", async () => {
    const first = await alice.sendTextMessage(roomId, "first");
    await decrypted(bob, first.event_id);
    await alice.sendMessage(roomId, {
        msgtype: "m.text",
        body: "* second",
        "m.new_content": { msgtype: "m.text", body: "second" },
        "m.relates_to": { rel_type: "m.replace", event_id: first.event_id },
    });
    const event = bob.getRoom(roomId).findEventById(first.event_id);
    await until("the edit", () => event.getContent().body === "second");
});

let second;
await step("a new device is seen", async () => {
    second = await encrypting(await logIn("js-carol"));
    await start(second);
    await until("the device at bob", async () => {
        const devices = (await bob.getCrypto().getUserDeviceInfo([aliceId])).get(aliceId);
        return devices?.has(second.getDeviceId());
    });
    const sent = await bob.sendTextMessage(roomId, "for both devices");
    return decrypted(second, sent.event_id);
});

await step("restore the backup on the new device", async () => {
    await until("keys in the backup", async () =>
        (await alice.http.authedRequest("GET", "/room_keys/version")).count > 0);
    const crypto = second.getCrypto();
    await crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    const restored = await crypto.restoreKeyBackup();
    assert(restored.imported > 0, "keys were restored");
    return restored.imported === restored.total;
});

await step("cross-sign the new device from storage", async () => {
    await second.getCrypto().bootstrapCrossSigning({});
    const status = await until("the signature", async () => {
        const status = await second.getCrypto().getDeviceVerificationStatus(aliceId, second.getDeviceId());
        return status?.signedByOwner && status;
    });
    return status.signedByOwner;
});

await step("verify by emoji", async () => {
    const crypto = alice.getCrypto();
    const asked = new Promise((resolve) => second.on("crypto.verificationRequestReceived", resolve));
    const request = await crypto.requestDeviceVerification(aliceId, second.getDeviceId());
    const incoming = await asked;
    await incoming.accept();
    await until("ready", () => request.phase === 3);
    const verifier = await request.startVerification("m.sas.v1");
    const other = await until("the other side", () => incoming.verifier);
    const emoji = [];
    for (const side of [verifier, other]) {
        side.on("show_sas", (sas) => {
            emoji.push(sas.sas.emoji.map((each) => each[1]).join(" "));
            sas.confirm();
        });
    }
    await Promise.all([verifier.verify(), other.verify()]);
    equal(emoji[0], emoji[1], "emoji");
});

await step("replacing cross-signing keys asks for the password", async () => {
    const bare = { master_key: { user_id: bobId, usage: ["master"], keys: { "ed25519:x": "x" } } };
    try {
        await bob.http.authedRequest("POST", "/keys/device_signing/upload", undefined, bare, {
            prefix: "/_matrix/client/v3",
        });
    } catch (error) {
        return error.httpStatus;
    }
    return "accepted";
});

await step("logout deletes the keys of the device", async () => {
    const device = second.getDeviceId();
    await second.logout(true);
    const found = await query(bob, aliceId);
    assert(found.device_keys[aliceId][device] === undefined, "the keys are gone");
    await until("bob sees it", async () => {
        const devices = (await bob.getCrypto().getUserDeviceInfo([aliceId])).get(aliceId);
        return !devices.has(device);
    });
});

await step("delete the backup", async () => {
    const crypto = alice.getCrypto();
    await crypto.deleteKeyBackupVersion(await crypto.getActiveSessionBackupVersion());
    return refused(() => alice.http.authedRequest("GET", "/room_keys/version"));
});

alice.stopClient();
bob.stopClient();
end();
