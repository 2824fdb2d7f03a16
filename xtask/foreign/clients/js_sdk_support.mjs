// What the scripts of matrix-js-sdk share: accounts, and clients that sync.
import * as sdk from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";
import { password, until, url } from "./steps.mjs";

logger.setLevel(process.env.CLIENT_LOG ?? "error", false);

/** Registers an account as the specification describes: the first request asks for the stages. */
export async function register(name) {
    const client = sdk.createClient({ baseUrl: url });
    const request = { username: name, password };
    let session;
    try {
        await client.registerRequest(request);
        throw new Error("an account was made without a stage");
    } catch (error) {
        if (error.httpStatus !== 401) throw error;
        session = error.data.session;
    }
    const auth = { type: "m.login.dummy", session };
    return client.registerRequest({ ...request, auth });
}

/** A client for the session that a registration or login returned. */
export function clientOf(session, options = {}) {
    return sdk.createClient({
        baseUrl: url,
        userId: session.user_id,
        deviceId: session.device_id,
        accessToken: session.access_token,
        timelineSupport: true,
        ...options,
    });
}

/** Starts to sync, and waits for the first sync to be complete. */
export async function start(client, options = {}) {
    await client.startClient({
        initialSyncLimit: 20,
        threadSupport: true,
        lazyLoadMembers: true,
        pollTimeout: 5_000,
        ...options,
    });
    await until("the first sync", () => {
        const state = client.getSyncState();
        if (state === "ERROR") throw client.getSyncStateData()?.error ?? new Error("sync failed");
        return state === "PREPARED" || state === "SYNCING";
    });
}

/** Waits for an event in a room, in its timeline or in a thread. */
export function arrival(client, roomId, eventId) {
    return until(`event ${eventId}`, () => client.getRoom(roomId)?.findEventById(eventId));
}

export function count(client, roomId, type = "total") {
    return client.getRoom(roomId).getRoomUnreadNotificationCount(type);
}
