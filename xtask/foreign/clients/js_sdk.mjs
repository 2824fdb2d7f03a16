// matrix-js-sdk: an account, rooms, and everything that a timeline shows.
import * as sdk from "matrix-js-sdk";
import { arrival, clientOf, count, register, start } from "./js_sdk_support.mjs";
import { assert, end, equal, password, refused, step, until, url } from "./steps.mjs";

let alice, bob, aliceSession, bobSession, roomId;
const text = (body) => ({ msgtype: "m.text", body });

await step("register with a stage", async () => {
    aliceSession = await register("js-alice");
    bobSession = await register("js-bob");
});

await step("log in by password", async () => {
    const guest = sdk.createClient({ baseUrl: url });
    const flows = await guest.loginFlows();
    assert(flows.flows.some((flow) => flow.type === "m.login.password"), "password is a flow");
    bobSession = await guest.loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: "js-bob" },
        password,
        initial_device_display_name: "second",
    });
});

await step("who am I, devices, capabilities", async () => {
    alice = clientOf(aliceSession);
    bob = clientOf(bobSession);
    equal((await alice.whoami()).user_id, aliceSession.user_id, "user");
    equal((await bob.getDevices()).devices.length, 2, "devices");
    const capabilities = await alice.getCapabilities();
    return capabilities["m.room_versions"].default;
});

await step("versions that the client accepts", async () => {
    assert(await alice.isVersionSupported("v1.1"), "v1.1 is supported");
    return (await alice.doesServerSupportThread()).threads;
});

await step("start the client until PREPARED", async () => {
    const states = [];
    alice.on(sdk.ClientEvent.Sync, (state) => states.push(state));
    await start(alice);
    equal(states[0], "PREPARED", "first state");
    await start(bob);
});

await step("create a room", async () => {
    const made = await alice.createRoom({
        name: "Clients",
        topic: "what works",
        preset: "private_chat",
        invite: [bobSession.user_id],
    });
    roomId = made.room_id;
    const room = await until("the room", () => alice.getRoom(roomId));
    await until("its name", () => room.name === "Clients");
    return room.getVersion();
});

await step("invite and join", async () => {
    const invited = await until("the invite", () => bob.getRoom(roomId));
    equal(invited.getMyMembership(), "invite", "membership");
    equal(invited.name, "Clients", "name of the invite");
    await bob.joinRoom(roomId);
    await until("join of bob", () => bob.getRoom(roomId)?.getMyMembership() === "join");
    await until("bob at alice", () =>
        alice.getRoom(roomId).getMember(bobSession.user_id)?.membership === "join");
    return alice.getRoom(roomId).getJoinedMemberCount();
});

await step("local echo becomes the event", async () => {
    const states = [];
    const room = alice.getRoom(roomId);
    room.on(sdk.RoomEvent.LocalEchoUpdated, (event) => states.push(event.status));
    const sent = await alice.sendMessage(roomId, text("echoed"));
    await until("the echo", () => room.findEventById(sent.event_id)?.status === null);
    const shown = room.getLiveTimeline().getEvents();
    const same = shown.filter((event) => event.getContent().body === "echoed");
    equal(same.length, 1, "shown events");
    assert(same[0].getUnsigned().transaction_id, "the sender has the transaction id");
    const other = await arrival(bob, roomId, sent.event_id);
    equal(other.getUnsigned().transaction_id, undefined, "transaction id of others");
    return states;
});

await step("same transaction id is one event", async () => {
    const ids = [];
    for (const _ of [1, 2]) {
        const sent = await alice.http.authedRequest(
            "PUT", `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/once`, undefined, text("once"));
        ids.push(sent.event_id);
    }
    equal(ids[0], ids[1], "event id");
});

let edited;
await step("edit a message", async () => {
    edited = (await alice.sendMessage(roomId, text("first"))).event_id;
    await alice.sendMessage(roomId, {
        ...text("* second"),
        "m.new_content": text("second"),
        "m.relates_to": { rel_type: "m.replace", event_id: edited },
    });
    const event = await arrival(bob, roomId, edited);
    await until("the edit", () => event.getContent().body === "second");
});

await step("react, once", async () => {
    const content = { "m.relates_to": { rel_type: "m.annotation", event_id: edited, key: "👍" } };
    const reaction = await bob.sendEvent(roomId, "m.reaction", content);
    await arrival(alice, roomId, reaction.event_id);
    const timelines = alice.getRoom(roomId).getUnfilteredTimelineSet();
    const relations = await until("relations", () =>
        timelines.relations.getChildEventsForEvent(edited, "m.annotation", "m.reaction"));
    equal(relations.getSortedAnnotationsByKey()[0][1].size, 1, "annotations");
    return refused(() => bob.sendEvent(roomId, "m.reaction", content));
});

let threadRoot, threadReply;
await step("reply in a thread", async () => {
    threadRoot = (await alice.sendMessage(roomId, text("root"))).event_id;
    await arrival(bob, roomId, threadRoot);
    threadReply = (await bob.sendMessage(roomId, threadRoot, text("reply"))).event_id;
    const room = alice.getRoom(roomId);
    const thread = await until("the thread", () => room.getThread(threadRoot));
    await until("the reply", () => thread.findEventById(threadReply));
    await until("its length", () => thread.length === 1);
    return thread.replyToEvent?.getContent().body;
});

await step("list the threads of a room", async () => {
    const room = alice.getRoom(roomId);
    await room.createThreadsTimelineSets();
    await room.fetchRoomThreads();
    const all = room.threadsTimelineSets[0].getLiveTimeline().getEvents();
    return all.map((event) => event.getContent().body);
});

await step("relations of an event", async () => {
    const edits = await alice.relations(roomId, edited, "m.replace", "m.room.message");
    const reactions = await alice.relations(roomId, edited, "m.annotation", "m.reaction");
    const thread = await alice.relations(roomId, threadRoot, "m.thread", null);
    return [edits.events.length, reactions.events.length, thread.events.length];
});

await step("bundled aggregations", async () => {
    const raw = await bob.fetchRoomEvent(roomId, edited);
    const root = await bob.fetchRoomEvent(roomId, threadRoot);
    const relations = root.unsigned["m.relations"];
    equal(relations["m.thread"].count, 1, "count of the thread");
    return {
        edit: raw.unsigned["m.relations"]["m.replace"].content["m.new_content"].body,
        participated: relations["m.thread"].current_user_participated,
        latest: relations["m.thread"].latest_event.content.body,
    };
});

await step("counts of unread messages", async () => {
    const sent = await alice.sendMessage(roomId, text("count me"));
    await arrival(bob, roomId, sent.event_id);
    await until("a count", () => count(bob, roomId) > 0);
    await bob.sendReadReceipt(bob.getRoom(roomId).findEventById(sent.event_id));
    await until("no count", () => count(bob, roomId) === 0);
    for (const body of ["one", "two"]) await alice.sendMessage(roomId, text(body));
    await until("two unread", () => count(bob, roomId) === 2);
});

await step("a mention is a highlight", async () => {
    await alice.sendMessage(roomId, {
        ...text("look"),
        "m.mentions": { user_ids: [bobSession.user_id] },
    });
    await until("the highlight", () => count(bob, roomId, "highlight") === 1);
    return count(bob, roomId);
});

await step("read receipts reach others", async () => {
    const last = bob.getRoom(roomId).getLastLiveEvent();
    await bob.sendReadReceipt(last);
    const room = alice.getRoom(roomId);
    await until("the receipt", () => room.getEventReadUpTo(bobSession.user_id, true) === last.getId());
    await until("no count", () => count(bob, roomId) === 0);
    return count(bob, roomId, "highlight");
});

await step("private receipts reach no one else", async () => {
    const sent = await alice.sendMessage(roomId, text("read in private"));
    const event = await arrival(bob, roomId, sent.event_id);
    await bob.sendReadReceipt(event, "m.read.private");
    await until("no count", () => count(bob, roomId) === 0);
    const after = await alice.sendMessage(roomId, text("after the private receipt"));
    await arrival(alice, roomId, after.event_id);
    assert(
        alice.getRoom(roomId).getEventReadUpTo(bobSession.user_id, true) !== sent.event_id,
        "the receipt stays private");
});

await step("counts and receipts of a thread", async () => {
    const sent = await alice.sendMessage(roomId, threadRoot, text("in the thread"));
    const event = await arrival(bob, roomId, sent.event_id);
    const room = bob.getRoom(roomId);
    const unread = () => room.getThreadUnreadNotificationCount(threadRoot, "total");
    await until("a count of the thread", () => unread() === 1);
    await bob.sendReadReceipt(event);
    await until("no count of the thread", () => unread() === 0);
});

await step("read markers", async () => {
    const last = bob.getRoom(roomId).getLastLiveEvent();
    await bob.setRoomReadMarkers(roomId, last.getId(), last);
    const marker = await until("the marker", () =>
        bob.getRoom(roomId).getAccountData("m.fully_read")?.getContent().event_id);
    equal(marker, last.getId(), "marker");
});

await step("typing", async () => {
    await bob.sendTyping(roomId, true, 5_000);
    const member = () => alice.getRoom(roomId).getMember(bobSession.user_id);
    await until("typing", () => member().typing);
    await bob.sendTyping(roomId, false, 0);
    await until("no typing", () => !member().typing);
});

await step("presence", async () => {
    await bob.setSyncPresence("unavailable");
    await bob.setPresence({ presence: "unavailable", status_msg: "away" });
    await until("presence of bob", () => alice.getUser(bobSession.user_id)?.presence === "unavailable");
    return (await alice.getPresence(bobSession.user_id)).status_msg;
});

await step("redact a message", async () => {
    const sent = await alice.sendMessage(roomId, text("regretted"));
    const event = await arrival(bob, roomId, sent.event_id);
    await alice.redactEvent(roomId, sent.event_id, undefined, { reason: "a slip" });
    await until("the redaction", () => event.isRedacted());
    const raw = await bob.fetchRoomEvent(roomId, sent.event_id);
    equal(raw.content, {}, "content");
    return raw.unsigned.redacted_because.content.reason;
});

await step("redact a reaction", async () => {
    const content = { "m.relates_to": { rel_type: "m.annotation", event_id: edited, key: "👎" } };
    const sent = await alice.sendEvent(roomId, "m.reaction", content);
    const event = await arrival(bob, roomId, sent.event_id);
    await alice.redactEvent(roomId, sent.event_id);
    await until("the redaction", () => event.isRedacted());
    const left = await bob.relations(roomId, edited, "m.annotation", "m.reaction");
    return left.events.length;
});

await step("a changed profile reaches rooms", async () => {
    await bob.setDisplayName("Robert");
    await until("the name", () =>
        alice.getRoom(roomId).getMember(bobSession.user_id).rawDisplayName === "Robert");
    await bob.setAvatarUrl("mxc://example.org/face");
    await until("the picture", () =>
        alice.getRoom(roomId).getMember(bobSession.user_id).getMxcAvatarUrl()
            === "mxc://example.org/face");
    return alice.getProfileInfo(bobSession.user_id);
});

await step("page to the beginning", async () => {
    for (let index = 0; index < 30; index += 1) await alice.sendMessage(roomId, text(`page ${index}`));
    const fresh = clientOf(await sdk.createClient({ baseUrl: url })
        .loginRequest({ type: "m.login.password", identifier: { type: "m.id.user", user: "js-alice" }, password }));
    try {
        await start(fresh, { initialSyncLimit: 3 });
        const room = fresh.getRoom(roomId);
        const timeline = room.getLiveTimeline();
        let pages = 0;
        while (await fresh.paginateEventTimeline(timeline, { backwards: true, limit: 10 })) {
            pages += 1;
            assert(pages < 30, "it ends");
        }
        const events = timeline.getEvents();
        equal(events[0].getType(), "m.room.create", "the first event");
        const ids = new Set(events.map((event) => event.getId()));
        equal(ids.size, events.length, "different events");
        const pageEvents = events.filter((event) => event.getContent().body?.startsWith("page "));
        equal(pageEvents.map((event) => event.getContent().body),
            [...Array(30).keys()].map((index) => `page ${index}`), "order");
        const shown = events.find((event) => event.getId() === edited);
        return [events.length, shown.getContent().body];
    } finally {
        await fresh.logout(true);
    }
});

await step("open the timeline at an old event", async () => {
    const room = alice.getRoom(roomId);
    const set = room.getUnfilteredTimelineSet();
    const created = room.currentState.getStateEvents("m.room.create", "").getId();
    const timeline = await alice.getEventTimeline(set, created);
    return timeline.getEvents()[0].getType();
});

await step("load the members lazily", async () => {
    const room = bob.getRoom(roomId);
    await room.loadMembersIfNeeded();
    return room.getJoinedMembers().map((member) => member.userId.split(":")[0]).sort();
});

await step("log out", async () => {
    await bob.logout(true);
    const stale = clientOf(bobSession);
    const after = await refused(() => stale.whoami());
    bobSession = await sdk.createClient({ baseUrl: url }).loginRequest(
        { type: "m.login.password", identifier: { type: "m.id.user", user: "js-bob" }, password });
    await clientOf(bobSession).http.authedRequest("POST", "/logout/all");
    return [after, await refused(() => clientOf(bobSession).whoami())];
});

alice.stopClient();
end();
