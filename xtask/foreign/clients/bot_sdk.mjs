// matrix-bot-sdk without cryptography: a bot, and an application service.
import bot from "matrix-bot-sdk";
import { assert, end, equal, password, refused, step, until, url } from "./steps.mjs";

const { Appservice, AutojoinRoomsMixin, LogLevel, LogService, MatrixAuth, MatrixClient, MemoryStorageProvider } = bot;
LogService.setLogger({
    error: console.error, warn: console.error, info: console.error, debug() {}, trace() {},
});
LogService.setLevel(LogLevel.WARN);

const settings = JSON.parse(process.env.MATRIX_APPSERVICE_BOT ?? "{}");
const text = (body) => ({ msgtype: "m.text", body });
let alice, robot, aliceId, robotId, domain, roomId;
const received = [];

await step("register", async () => {
    const auth = new MatrixAuth(url);
    for (const name of ["bot-alice", "bot-robot"]) {
        const made = await auth.passwordRegister(name, password, "device");
        const client = new MatrixClient(url, made.accessToken, new MemoryStorageProvider());
        if (name === "bot-alice") alice = client;
        else robot = client;
    }
    [aliceId, robotId] = [await alice.getUserId(), await robot.getUserId()];
    domain = aliceId.split(":").slice(1).join(":");
});

await step("log in by password", async () => {
    const made = await new MatrixAuth(url).passwordLogin("bot-robot", password, "again");
    robot = new MatrixClient(url, made.accessToken, new MemoryStorageProvider());
    equal(await robot.getUserId(), robotId, "user");
});

await step("versions", async () => robot.doesServerSupportVersion("v1.1"));

await step("start to sync", async () => {
    AutojoinRoomsMixin.setupOnClient(robot);
    robot.on("room.message", (room, event) => received.push({ room, event }));
    await robot.start();
});

await step("join by invitation", async () => {
    roomId = await alice.createRoom({ name: "bots", preset: "private_chat", invite: [robotId] });
    await until("the join", async () => (await alice.getJoinedRoomMembers(roomId)).includes(robotId));
});

const arrived = (id) => until(`event ${id}`, () => received.find(({ event }) => event.event_id === id)?.event);

await step("send and receive", async () => {
    const event = await arrived(await alice.sendText(roomId, "hello"));
    equal(event.sender, aliceId, "sender");
    const answer = await robot.replyText(roomId, event, "answer");
    const raw = await alice.getRawEvent(roomId, answer);
    return [event.content.body, raw.content["m.relates_to"]["m.in_reply_to"].event_id === event.event_id];
});

await step("edit", async () => {
    const first = await alice.sendText(roomId, "first");
    await arrived(await alice.sendMessage(roomId, {
        ...text("* second"),
        "m.new_content": text("second"),
        "m.relates_to": { rel_type: "m.replace", event_id: first },
    }));
    const raw = await robot.getRawEvent(roomId, first);
    return [raw.content.body, raw.unsigned["m.relations"]["m.replace"].content["m.new_content"].body];
});

await step("relations", async () => {
    const first = await alice.sendText(roomId, "like it?");
    for (const key of ["👍", "👎"]) {
        await robot.sendEvent(roomId, "m.reaction", {
            "m.relates_to": { rel_type: "m.annotation", event_id: first, key },
        });
    }
    const found = await alice.getRelationsForEvent(roomId, first, "m.annotation", "m.reaction");
    return found.chunk.map((event) => event.content["m.relates_to"].key);
});

await step("redact", async () => {
    const sent = await alice.sendText(roomId, "oops");
    await alice.redactEvent(roomId, sent, "typo");
    const raw = await robot.getRawEvent(roomId, sent);
    return [raw.content, raw.unsigned.redacted_because.content.reason];
});

await step("receipts and typing", async () => {
    const sent = await alice.sendText(roomId, "read me");
    await robot.sendReadReceipt(roomId, sent);
    await robot.setTyping(roomId, true, 2000);
    await robot.setTyping(roomId, false);
});

await step("presence", async () => {
    await robot.setPresenceStatus("unavailable", "busy");
    // A sync of the bot may have made it online again.
    return (await alice.getPresenceStatusFor(robotId)).statusMessage;
});

await step("profile", async () => {
    await robot.setDisplayName("Robot");
    await robot.setAvatarUrl("mxc://example.org/robot");
    await until("the profile in the room", async () => {
        const member = await alice.getRoomStateEvent(roomId, "m.room.member", robotId);
        return member.displayname === "Robot" && member.avatar_url === "mxc://example.org/robot";
    });
    const members = await alice.getJoinedRoomMembersWithProfiles(roomId);
    return [await alice.getUserProfile(robotId), members[robotId]];
});

await step("state and power levels", async () => {
    await alice.sendStateEvent(roomId, "org.example.note", "key", { text: "hi" });
    await alice.setUserPowerLevel(robotId, roomId, 50);
    const missing = await refused(() => robot.getRoomStateEvent(roomId, "org.example.note", "other"));
    return [
        await robot.getRoomStateEvent(roomId, "org.example.note", "key"),
        await robot.userHasPowerLevelForAction(robotId, roomId, "kick"),
        (await robot.getRoomState(roomId)).filter((event) => event.type === "org.example.note").length,
        missing,
    ];
});

await step("members", async () => {
    const joined = await robot.getRoomMembersByMembership(roomId, "join");
    const others = await robot.getRoomMembersWithoutMembership(roomId, "join");
    return [joined.length, others.length];
});

await step("context", async () => {
    const sent = [];
    for (const body of ["a", "b", "c"]) sent.push(await alice.sendText(roomId, body));
    const found = await robot.getEventContext(roomId, sent[1], 2);
    return [...found.before, found.event, ...found.after].map((event) => event.content.body);
});

await step("aliases", async () => {
    const alias = `#bot-room:${domain}`;
    await alice.createRoomAlias(alias, roomId);
    const found = await robot.lookupRoomAlias(alias);
    equal([found.roomId, await robot.resolveRoom(alias)], [roomId, roomId], "rooms");
    await alice.deleteRoomAlias(alias);
    return refused(() => robot.lookupRoomAlias(alias));
});

await step("directory", async () => {
    await alice.setDirectoryVisibility(roomId, "public");
    return alice.getDirectoryVisibility(roomId);
});

await step("kick, ban, unban", async () => {
    await alice.kickUser(robotId, roomId, "out");
    const outside = await refused(() => robot.joinRoom(roomId));
    await alice.banUser(robotId, roomId, "for good");
    await alice.unbanUser(robotId, roomId);
    await alice.inviteUser(robotId, roomId);
    await until("the join", async () => (await alice.getJoinedRoomMembers(roomId)).includes(robotId));
    return outside;
});

await step("account data", async () => {
    await robot.setAccountData("org.example.note", { text: "mine" });
    await robot.setRoomAccountData("org.example.note", roomId, { text: "of the room" });
    return [await robot.getAccountData("org.example.note"), await robot.getRoomAccountData("org.example.note", roomId)];
});

await step("spaces", async () => {
    // Its createSpace() names the creator in the power levels, which room version 12 refuses.
    const made = await alice.createRoom({ name: "Space", creation_content: { type: "m.space" } });
    const space = await alice.getSpace(made);
    await space.addChildRoom(roomId, { via: [domain] });
    const children = await space.getChildEntities();
    return Object.keys(children).length;
});

await step("to-device messages", async () => {
    await alice.sendToDevices("org.example.ping", { [robotId]: { "*": { number: 7 } } });
});

await step("one-time keys", async () => {
    const key = { key: "zKbLg+NrIjpnagy+pIY6uPL4ZwEG2v+8F9lmgsnlZzs", signatures: {} };
    const { device_id: device } = await robot.getWhoAmI();
    const post = (client, path, body) => client.doRequest("POST", `/_matrix/client/v3/keys/${path}`, undefined, body);
    const claim = async () => {
        const wanted = { one_time_keys: { [robotId]: { [device]: "signed_curve25519" } } };
        return Object.keys((await post(alice, "claim", wanted)).one_time_keys[robotId]?.[device] ?? {});
    };
    const counts = await post(robot, "upload", { one_time_keys: { "signed_curve25519:AAAA": key } });
    const first = await claim();
    const none = await claim();
    await post(robot, "upload", { fallback_keys: { "signed_curve25519:FFFF": { ...key, fallback: true } } });
    return [counts.one_time_key_counts, first, none, await claim(), await claim()];
});

await step("devices", async () => (await robot.getOwnDevices()).length);

await step("media", async () => {
    const uri = await alice.uploadContent(Buffer.from("hello"), "text/plain", "hello.txt");
    assert(uri.startsWith(`mxc://${domain}/`), "an address of this server");
});

await step("OpenID token", async () => {
    const found = await robot.getOpenIDConnectToken();
    return [found.token_type, found.matrix_server_name === domain];
});

let service;
const transactions = [];
await step("start an application service", async () => {
    service = new Appservice({
        port: settings.port,
        bindAddress: "127.0.0.1",
        homeserverName: domain,
        homeserverUrl: url,
        storage: new MemoryStorageProvider(),
        registration: {
            id: settings.id,
            url: settings.url,
            as_token: settings.as_token,
            hs_token: settings.hs_token,
            sender_localpart: settings.sender,
            namespaces: {
                users: [{ exclusive: true, regex: `@${settings.prefix}.*` }],
                aliases: [{ exclusive: true, regex: `#${settings.prefix}.*` }],
                rooms: [],
            },
        },
    });
    service.on("room.event", (room, event) => transactions.push(event));
    service.on("query.room", (alias, create) => {
        const name = alias.slice(1).split(":")[0];
        create(alias.includes("known") ? { name, preset: "public_chat" } : false);
    });
    service.on("query.user", (user, create) => create(user.includes("known") ? { display_name: "Known" } : false));
    await service.begin();
    return (await service.botIntent.underlyingClient.getUserId()) === service.botUserId;
});

await step("ping the application service", async () => {
    const path = `/_matrix/client/v1/appservice/${settings.id}/ping`;
    // It does not know the request, which the server reports.
    return refused(() => service.botClient.doRequest("POST", path, undefined, { transaction_id: "ping-1" }));
});

let ghost, portal;
await step("users of the application service", async () => {
    ghost = service.getIntent(`${settings.prefix}ghost`);
    await ghost.ensureRegistered();
    await ghost.underlyingClient.setDisplayName("Ghost");
    portal = await alice.createRoom({ preset: "public_chat", invite: [ghost.userId] });
    await ghost.joinRoom(portal);
    const sent = await ghost.sendText(portal, "boo");
    return (await alice.getRawEvent(portal, sent)).sender === ghost.userId;
});

await step("transactions arrive in order, once", async () => {
    const sent = [];
    for (let index = 0; index < 5; index += 1) sent.push(await alice.sendText(portal, `for the service ${index}`));
    await until("the last event", () => transactions.some((event) => event.event_id === sent.at(-1)));
    const got = transactions.map((event) => event.event_id).filter((id) => sent.includes(id));
    equal(got, sent, "events");
    const invites = transactions.filter((event) => event.type === "m.room.member"
        && event.content.membership === "invite" && event.state_key === ghost.userId);
    return invites.length;
});

await step("events with a time of their own", async () => {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(portal)}/send/m.room.message/past`;
    const sent = await ghost.underlyingClient.doRequest("PUT", path, { ts: 1_500_000_000_000 }, text("long ago"));
    return (await alice.getRawEvent(portal, sent.event_id)).origin_server_ts;
});

await step("the service is asked for an alias", async () => {
    const alias = `#${settings.prefix}known:${domain}`;
    const joined = await alice.joinRoom(alias);
    const missing = await refused(() => alice.joinRoom(`#${settings.prefix}other:${domain}`));
    return [(await alice.getRoomStateEvent(joined, "m.room.name", "")).name, missing];
});

await step("others cannot use its names", async () => {
    const wanted = { username: `${settings.prefix}thief`, password, auth: { type: "m.login.dummy" } };
    const user = await refused(() => alice.doRequest("POST", "/_matrix/client/v3/register", undefined, wanted));
    const alias = await refused(() => alice.createRoomAlias(`#${settings.prefix}mine:${domain}`, portal));
    return [user, alias];
});

await step("leave and forget", async () => {
    await robot.leaveRoom(roomId, "bye");
    await robot.forgetRoom(roomId);
    return refused(() => robot.getRoomState(roomId));
});

await step("log out", async () => {
    robot.stop();
    await robot.doRequest("POST", "/_matrix/client/v3/logout");
    return refused(() => robot.getWhoAmI());
});

service?.stop();
end();
