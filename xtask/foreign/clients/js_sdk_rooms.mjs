// matrix-js-sdk: membership, the directory, account data, rules, upgrades.
import { clientOf, register, start } from "./js_sdk_support.mjs";
import { assert, end, equal, password, refused, step, until } from "./steps.mjs";

let alice, bob, aliceId, bobId, domain, roomId;
const membership = (client, user) => client.getRoom(roomId)?.getMember(user)?.membership;

await step("start two clients", async () => {
    alice = clientOf(await register("js-ann"));
    bob = clientOf(await register("js-ben"));
    [aliceId, bobId, domain] = [alice.getUserId(), bob.getUserId(), alice.getDomain()];
    await start(alice);
    await start(bob);
});

await step("create a public room with an alias", async () => {
    const made = await alice.createRoom({
        preset: "public_chat",
        visibility: "public",
        room_alias_name: "js-square",
        name: "Square",
        topic: "open to all",
    });
    roomId = made.room_id;
    const room = await until("the room", () => alice.getRoom(roomId));
    await until("its alias", () => room.getCanonicalAlias());
    return [room.getCanonicalAlias().split(":")[0], room.getJoinRule(), room.getHistoryVisibility()];
});

await step("find it among the public rooms", async () => {
    const found = await bob.publicRooms({ filter: { generic_search_term: "Square" }, limit: 10 });
    const room = found.chunk.find((room) => room.room_id === roomId);
    return [room.name, room.topic, room.num_joined_members, room.world_readable, room.guest_can_join];
});

await step("resolve and join by alias", async () => {
    const alias = `#js-square:${domain}`;
    const found = await bob.getRoomIdForAlias(alias);
    equal(found.room_id, roomId, "room");
    await bob.joinRoom(alias);
    await until("bob at alice", () => membership(alice, bobId) === "join");
});

await step("add and delete an alias", async () => {
    const alias = `#js-corner:${domain}`;
    await alice.createAlias(alias, roomId);
    const taken = await refused(() => alice.createAlias(alias, roomId));
    const all = (await alice.getLocalAliases(roomId)).aliases.map((each) => each.split(":")[0]).sort();
    await alice.deleteAlias(alias);
    return [taken, all, await refused(() => bob.getRoomIdForAlias(alias))];
});

await step("visibility in the directory", async () => {
    const before = (await alice.getRoomDirectoryVisibility(roomId)).visibility;
    await alice.setRoomDirectoryVisibility(roomId, "private");
    return [before, (await alice.getRoomDirectoryVisibility(roomId)).visibility];
});

await step("kick", async () => {
    await alice.kick(roomId, bobId, "too loud");
    await until("the kick", () => bob.getRoom(roomId)?.getMyMembership() === "leave");
    const event = bob.getRoom(roomId).getMember(bobId).events.member;
    return event.getContent().reason;
});

await step("join again after a kick", async () => {
    await bob.joinRoom(roomId);
    await until("the join", () => membership(alice, bobId) === "join");
});

await step("ban and unban", async () => {
    await alice.ban(roomId, bobId, "spam");
    await until("the ban", () => bob.getRoom(roomId)?.getMyMembership() === "ban");
    const refusal = await refused(() => bob.joinRoom(roomId));
    await alice.unban(roomId, bobId);
    await until("the unban", () => membership(alice, bobId) === "leave");
    await bob.joinRoom(roomId);
    await until("the join", () => membership(alice, bobId) === "join");
    return refusal;
});

await step("power levels bound what one may do", async () => {
    const denied = [
        await refused(() => bob.kick(roomId, aliceId)),
        await refused(() => bob.setRoomName(roomId, "Mine")),
    ];
    await alice.setPowerLevel(roomId, bobId, 50);
    await until("the level", () => bob.getRoom(roomId).getMember(bobId).powerLevel === 50);
    await bob.setRoomName(roomId, "Ours");
    await until("the name", () => alice.getRoom(roomId).name === "Ours");
    return denied;
});

await step("state events", async () => {
    await alice.sendStateEvent(roomId, "org.example.pin", { place: "wall" }, "left");
    const one = await bob.getStateEvent(roomId, "org.example.pin", "left");
    const missing = await refused(() => bob.getStateEvent(roomId, "org.example.pin", "right"));
    const all = await bob.roomState(roomId);
    return [one, missing, all.filter((event) => event.type === "org.example.pin").length];
});

await step("leave and forget", async () => {
    await bob.leave(roomId);
    await until("the leave", () => bob.getRoom(roomId)?.getMyMembership() === "leave");
    await bob.forget(roomId);
    return refused(() => bob.roomState(roomId));
});

await step("reject an invite", async () => {
    const made = await alice.createRoom({ preset: "private_chat", invite: [bobId], is_direct: true });
    const room = await until("the invite", () => bob.getRoom(made.room_id));
    const isDirect = room.getMember(bobId).events.member.getContent().is_direct;
    await bob.leave(made.room_id);
    await until("the rejection", () =>
        alice.getRoom(made.room_id)?.getMember(bobId)?.membership === "leave");
    return isDirect;
});

await step("knock and be let in", async () => {
    const made = await alice.createRoom({
        initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }],
    });
    await bob.knockRoom(made.room_id, { reason: "may I?" });
    const knocker = () => alice.getRoom(made.room_id)?.getMember(bobId);
    await until("the knock", () => knocker()?.membership === "knock");
    await alice.invite(made.room_id, bobId);
    await until("the invite", () => bob.getRoom(made.room_id)?.getMyMembership() === "invite");
    await bob.joinRoom(made.room_id);
    await until("the join", () => knocker().membership === "join");
});

await step("restricted room", async () => {
    const hall = (await alice.createRoom({ preset: "public_chat" })).room_id;
    const allow = [{ type: "m.room_membership", room_id: hall }];
    const made = await alice.createRoom({
        initial_state: [{
            type: "m.room.join_rules",
            state_key: "",
            content: { join_rule: "restricted", allow },
        }],
    });
    const outside = await refused(() => bob.joinRoom(made.room_id));
    await bob.joinRoom(hall);
    await bob.joinRoom(made.room_id);
    return outside;
});

await step("account data", async () => {
    await alice.setAccountDataRaw("org.example.settings", { colour: "green" });
    await until("the event", () => alice.getAccountData("org.example.settings"));
    const found = await alice.getAccountDataFromServer("org.example.settings");
    return found;
});

await step("account data of a room, and tags", async () => {
    await alice.setRoomAccountData(roomId, "org.example.view", { zoom: 2 });
    await alice.setRoomTag(roomId, "m.favourite", { order: 0.25 });
    const room = alice.getRoom(roomId);
    await until("the data", () => room.getAccountData("org.example.view")?.getContent().zoom === 2);
    await until("the tag", () => room.tags["m.favourite"]);
    const tags = (await alice.getRoomTags(roomId)).tags;
    await alice.deleteRoomTag(roomId, "m.favourite");
    await until("no tag", () => room.tags["m.favourite"] === undefined);
    return tags;
});

await step("ignored users", async () => {
    const shared = (await alice.createRoom({ preset: "public_chat" })).room_id;
    await bob.joinRoom(shared);
    await bob.setIgnoredUsers([aliceId]);
    await until("the list", () => bob.isUserIgnored(aliceId));
    const hidden = await alice.sendTextMessage(shared, "hidden");
    const own = await bob.sendTextMessage(shared, "own");
    await until("the own event", () => bob.getRoom(shared)?.findEventById(own.event_id)?.status === null);
    await alice.setRoomName(shared, "State is shown");
    await until("state of ignored users", () => bob.getRoom(shared).name === "State is shown");
    const seen = bob.getRoom(shared).findEventById(hidden.event_id);
    await bob.setIgnoredUsers([]);
    return seen === undefined;
});

await step("push rules", async () => {
    const rule = { conditions: [], actions: ["notify"], pattern: "cake" };
    await alice.addPushRule("global", "content", "org.example.cake", { pattern: "cake", actions: rule.actions });
    await alice.setPushRuleEnabled("global", "content", "org.example.cake", false);
    await alice.setPushRuleActions("global", "content", "org.example.cake", []);
    const find = (rules) => rules.global.content.find((each) => each.rule_id === "org.example.cake");
    const made = find(await alice.getPushRules());
    await until("the rules in sync", () => find(alice.pushRules)?.enabled === false);
    await alice.deletePushRule("global", "content", "org.example.cake");
    equal(find(await alice.getPushRules()), undefined, "deleted rule");
    return made;
});

await step("a muted room does not count", async () => {
    const quiet = (await alice.createRoom({ preset: "public_chat" })).room_id;
    await bob.joinRoom(quiet);
    await bob.addPushRule("global", "override", quiet, {
        conditions: [{ kind: "event_match", key: "room_id", pattern: quiet }],
        actions: [],
    });
    const sent = await alice.sendTextMessage(quiet, "quiet");
    const room = await until("the room", () => bob.getRoom(quiet));
    await until("the event", () => room.findEventById(sent.event_id));
    return room.getRoomUnreadNotificationCount("total");
});

await step("to-device messages", async () => {
    const received = [];
    bob.on("toDeviceEvent", (event) => received.push(event));
    const content = new Map([[bobId, new Map([[bob.getDeviceId(), { number: 7 }]])]]);
    await alice.sendToDevice("org.example.ping", content);
    const event = await until("the message", () => received[0]);
    equal(event.getSender(), aliceId, "sender");
    return [event.getType(), event.getContent()];
});

await step("filters", async () => {
    const made = await alice.createFilter({ room: { timeline: { limit: 3, types: ["m.room.message"] } } });
    return (await alice.getFilter(aliceId, made.filterId, false)).getDefinition();
});

await step("context of an event", async () => {
    const sent = [];
    for (const body of ["a", "b", "c", "d", "e"]) {
        sent.push((await alice.sendTextMessage(roomId, body)).event_id);
    }
    const path = `/rooms/${encodeURIComponent(roomId)}/context/${encodeURIComponent(sent[2])}`;
    const found = await alice.http.authedRequest("GET", path, { limit: 4 });
    const bodies = (events) => events.map((event) => event.content.body);
    return [bodies(found.events_before), found.event.content.body, bodies(found.events_after)];
});

await step("upgrade a room", async () => {
    const old = (await alice.createRoom({ preset: "public_chat", room_version: "10", name: "Old" })).room_id;
    await bob.joinRoom(old);
    const made = await alice.upgradeRoom(old, "11");
    const room = await until("the new room", () => alice.getRoom(made.replacement_room));
    equal(room.getVersion(), "11", "version");
    equal(room.findPredecessor().roomId, old, "predecessor");
    const tombstone = () => bob.getRoom(old)?.currentState.getStateEvents("m.room.tombstone", "");
    const event = await until("the tombstone", tombstone);
    equal(event.getContent().replacement_room, made.replacement_room, "replacement");
    await bob.joinRoom(made.replacement_room);
    return [room.name, await refused(() => bob.sendTextMessage(old, "late"))];
});

await step("OpenID token", async () => {
    const token = await alice.getOpenIdToken();
    equal(token.matrix_server_name, domain, "server");
    return [token.token_type, token.expires_in > 0, token.access_token.length > 0];
});

await step("TURN servers", async () => {
    const found = await alice.turnServer();
    return Object.keys(found).sort();
});

await step("report an event and a room", async () => {
    const sent = await alice.sendTextMessage(roomId, "rude");
    await alice.reportEvent(roomId, sent.event_id, -100, "rude");
    await alice.reportRoom(roomId, "rude");
});

await step("devices", async () => {
    await alice.setDeviceDetails(alice.getDeviceId(), { display_name: "desk" });
    return (await alice.getDevice(alice.getDeviceId())).display_name;
});

await step("media", async () => {
    const sent = await alice.uploadContent("hello", { type: "text/plain", name: "hello.txt" });
    assert(sent.content_uri.startsWith(`mxc://${domain}/`), "an address of this server");
    const address = alice.mxcUrlToHttp(sent.content_uri, undefined, undefined, undefined, false, true, true);
    const answer = await fetch(address, { headers: { authorization: `Bearer ${alice.getAccessToken()}` } });
    return [answer.status, answer.headers.get("content-type"), await answer.text()];
});

await step("deactivate the account", async () => {
    const asked = await bob.deactivateAccount().catch((error) => error.data);
    await bob.deactivateAccount({
        type: "m.login.password",
        session: asked.session,
        identifier: { type: "m.id.user", user: bobId },
        password,
    });
    return refused(() => bob.whoami());
});

alice.stopClient();
bob.stopClient();
end();
