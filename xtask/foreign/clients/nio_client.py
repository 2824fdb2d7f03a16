"""matrix-nio with its cryptography."""

import asyncio
import io
import tempfile

import nio
from nio.api import RelationshipType
from steps import PASSWORD, URL, equal, step, until

alice = bob = room_id = None
seen = {}


class Refused(Exception):
    def __init__(self, response):
        super().__init__(f"{type(response).__name__} {response.status_code} {response.message}")


def ok(response):
    """The response of nio, which returns failures instead of raising them."""
    if isinstance(response, nio.ErrorResponse):
        raise Refused(response)
    return response


def code(response):
    if not isinstance(response, nio.ErrorResponse):
        raise AssertionError(f"it was not refused: {response}")
    return response.status_code


def client(name, store):
    config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=False)
    return nio.AsyncClient(URL, name, store_path=store, config=config)


async def sync(of, **options):
    return ok(await of.sync(timeout=0, **options))


async def message(of, where, event_id):
    """Syncs until a message arrives."""

    async def check():
        await sync(of)
        return seen.get((of.user_id, event_id))

    return await until(f"event {event_id}", check)


def remember(of):
    async def on_event(_, event):
        seen[(of.user_id, event.event_id)] = event

    of.add_event_callback(on_event, nio.Event)


async def send(of, body, **more):
    content = {"msgtype": "m.text", "body": body, **more}
    sent = await of.room_send(room_id, "m.room.message", content, ignore_unverified_devices=True)
    return ok(sent).event_id


async def register():
    for each in (alice, bob):
        ok(await each.register(each.user, PASSWORD, device_name="nio"))
        remember(each)


async def log_in():
    global bob
    await bob.close()
    bob = client("nio-bob", tempfile.mkdtemp())
    ok(await bob.login(PASSWORD, device_name="again"))
    remember(bob)
    flows = ok(await bob.login_info()).flows
    who = ok(await bob.whoami())
    equal((who.user_id, who.device_id), (bob.user_id, bob.device_id), "who I am")
    return "m.login.password" in flows


async def first_sync():
    for each in (alice, bob):
        await sync(each, full_state=True)
    return len(bob.rooms)


async def create():
    global room_id
    made = await alice.room_create(
        name="nio", topic="works", invite=[bob.user_id], preset=nio.RoomPreset.private_chat
    )
    room_id = ok(made).room_id
    await sync(alice)
    room = alice.rooms[room_id]
    return [room.name, room.topic, room.room_version]


async def invite_and_join():
    await sync(bob)
    invite = bob.invited_rooms[room_id]
    equal(invite.inviter, alice.user_id, "inviter")
    ok(await bob.join(room_id))
    await until("the join", lambda: joined())
    return sorted(member.user_id.split(":")[0] for member in ok(await bob.joined_members(room_id)).members)


async def joined():
    await sync(alice)
    await sync(bob)
    return room_id in bob.rooms and bob.user_id in alice.rooms[room_id].users


async def send_and_receive():
    event = await message(bob, room_id, await send(alice, "hello"))
    return event.body


async def edit():
    first = await send(alice, "first")
    change = {"m.new_content": {"msgtype": "m.text", "body": "second"}}
    edit_id = await send(alice, "* second", **change, **{"m.relates_to": {"rel_type": "m.replace", "event_id": first}})
    await message(bob, room_id, edit_id)
    relations = bob.room_get_event_relations(room_id, first, RelationshipType.replacement)
    return [each.source["content"]["m.new_content"]["body"] async for each in relations]


async def react():
    first = await send(alice, "like it?")
    content = {"m.relates_to": {"rel_type": "m.annotation", "event_id": first, "key": "👍"}}
    sent = ok(await bob.room_send(room_id, "m.reaction", content))
    event = await message(alice, room_id, sent.event_id)
    return [event.key, code(await bob.room_send(room_id, "m.reaction", content))]


async def thread():
    root = await send(alice, "root")
    reply = await send(bob, "reply", **{"m.relates_to": {"rel_type": "m.thread", "event_id": root}})
    await message(alice, room_id, reply)
    return [event.body async for event in alice.room_get_threads(room_id)]


async def receipts():
    sent = await send(alice, "read me")
    await message(bob, room_id, sent)
    ok(await bob.update_receipt_marker(room_id, sent))

    async def check():
        await sync(alice)
        receipts = alice.rooms[room_id].threaded_read_receipts.get(bob.user_id, {})
        return "main" in receipts and receipts["main"].event_id == sent

    await until("the receipt", check)
    ok(await bob.room_read_markers(room_id, sent, sent))


async def counts():
    sent = [await send(alice, body) for body in ("one", "two")]

    def unread(count):
        async def check():
            await sync(bob)
            return bob.rooms[room_id].unread_notifications == count

        return check

    await until("two unread", unread(2))
    ok(await bob.update_receipt_marker(room_id, sent[-1]))
    await until("none unread", unread(0))


async def typing():
    ok(await bob.room_typing(room_id, True, 5000))

    async def check():
        await sync(alice)
        return bob.user_id in alice.rooms[room_id].typing_users

    await until("typing", check)


async def presence():
    ok(await bob.set_presence("unavailable", "lunch"))
    found = ok(await alice.get_presence(bob.user_id))
    return [found.presence, found.status_msg]


async def redact():
    sent = await send(alice, "oops")
    await message(bob, room_id, sent)
    ok(await alice.room_redact(room_id, sent, reason="typo"))
    event = ok(await bob.room_get_event(room_id, sent)).event
    return [type(event).__name__, event.reason]


async def profile():
    ok(await bob.set_displayname("Bobby"))
    ok(await bob.set_avatar("mxc://example.org/bobby"))

    async def check():
        await sync(alice)
        user = alice.rooms[room_id].users[bob.user_id]
        return (user.display_name, user.avatar_url) == ("Bobby", "mxc://example.org/bobby")

    await until("the profile in the room", check)
    found = ok(await alice.get_profile(bob.user_id))
    return [found.displayname, found.avatar_url]


async def paging():
    for index in range(25):
        await send(alice, f"page {index}")
    await sync(bob)
    token, events = "", []
    while True:
        page = ok(await bob.room_messages(room_id, token, limit=10))
        events += page.chunk
        if not page.end:
            break
        token = page.end
    equal(type(events[-1]).__name__, "RoomCreateEvent", "the first event")
    bodies = [event.body for event in events if getattr(event, "body", "").startswith("page ")]
    equal(bodies, [f"page {index}" for index in reversed(range(25))], "order")
    equal(len({event.event_id for event in events}), len(events), "different events")


async def context():
    sent = [await send(alice, body) for body in "abc"]
    found = ok(await bob.room_context(room_id, sent[1], limit=2))
    return [event.body for event in [*found.events_before, found.event, *found.events_after]]


async def state():
    ok(await alice.room_put_state(room_id, "org.example.note", {"text": "hi"}, "key"))
    found = ok(await bob.room_get_state_event(room_id, "org.example.note", "key"))
    every = ok(await bob.room_get_state(room_id)).events
    missing = code(await bob.room_get_state_event(room_id, "org.example.note", "other"))
    return [found.content, sum(event["type"] == "org.example.note" for event in every), missing]


async def aliases():
    domain = alice.user_id.split(":", 1)[1]
    alias = f"#nio:{domain}"
    ok(await alice.room_put_alias(alias, room_id))
    equal(ok(await bob.room_resolve_alias(alias)).room_id, room_id, "room")
    ok(await alice.room_delete_alias(alias))
    return code(await bob.room_resolve_alias(alias))


async def public_rooms():
    made = ok(
        await alice.room_create(
            visibility=nio.RoomVisibility.public, name="nio square", preset=nio.RoomPreset.public_chat
        )
    )
    visibility = ok(await alice.room_get_visibility(made.room_id)).visibility
    found = ok(await bob.list_public_rooms(limit=50)).public_rooms
    return [visibility, [room.name for room in found if room.room_id == made.room_id]]


async def kick_and_ban():
    ok(await alice.room_kick(room_id, bob.user_id, "out"))
    left = (await sync(bob)).rooms.leave
    equal(list(left), [room_id], "rooms that bob left")
    # The room is private.
    ok(await alice.room_invite(room_id, bob.user_id))
    ok(await bob.join(room_id))
    ok(await alice.room_ban(room_id, bob.user_id, "out for good"))
    refusal = code(await bob.join(room_id))
    ok(await alice.room_unban(room_id, bob.user_id))
    ok(await alice.room_invite(room_id, bob.user_id))
    ok(await bob.join(room_id))
    await sync(bob)
    return [refusal, room_id in bob.rooms]


async def knock():
    made = ok(await alice.room_create(name="door")).room_id
    ok(await alice.room_enable_knocking(made))
    ok(await bob.room_knock(made, "hello?"))
    await sync(alice)
    ok(await alice.room_invite(made, bob.user_id))
    ok(await bob.join(made))


async def filters():
    made = await bob.upload_filter(room={"timeline": {"limit": 1}})
    every = await bob.sync(timeout=0, sync_filter=ok(made).filter_id, full_state=True)
    inline = await bob.sync(timeout=0, sync_filter={"room": {"timeline": {"limit": 1}}}, full_state=True)
    return [type(every).__name__, len(ok(inline).rooms.join[room_id].timeline.events) <= 1]


async def push_rules():
    action = [nio.PushNotify(), nio.PushSetTweak("sound", "ring")]
    ok(await alice.set_pushrule("global", nio.PushRuleKind.content, "nio.cake", pattern="cake", actions=action))
    ok(await alice.enable_pushrule("global", nio.PushRuleKind.content, "nio.cake", False))
    ok(await alice.set_pushrule_actions("global", nio.PushRuleKind.content, "nio.cake", [nio.PushNotify()]))
    await sync(alice)
    ok(await alice.delete_pushrule("global", nio.PushRuleKind.content, "nio.cake"))


async def keys():
    for each in (alice, bob):
        await sync(each)
        if each.should_upload_keys:
            ok(await each.keys_upload())
    counts = ok(await alice.keys_upload()) if alice.should_upload_keys else None
    return [alice.should_upload_keys, counts is None]


async def encrypted():
    global room_id
    initial = [{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]
    made = await alice.room_create(invite=[bob.user_id], initial_state=initial, preset=nio.RoomPreset.private_chat)
    room_id = ok(made).room_id
    await sync(bob)
    ok(await bob.join(room_id))
    await until("the join", joined)
    for each in (alice, bob):
        if each.should_query_keys:
            ok(await each.keys_query())
    event = await message(bob, room_id, await send(alice, "a secret"))
    return [type(event).__name__, event.body, event.decrypted]


async def to_device():
    received = []

    async def on_event(event):
        received.append(event)

    bob.add_to_device_callback(on_event, nio.UnknownToDeviceEvent)
    ok(await alice.to_device(nio.ToDeviceMessage("org.example.ping", bob.user_id, bob.device_id, {"number": 7})))

    async def check():
        await sync(bob)
        return received

    await until("the message", check)
    return [received[0].type, received[0].source["content"]]


async def media():
    sent, _ = await alice.upload(io.BytesIO(b"hello"), "text/plain", "hello.txt", filesize=5)
    found = ok(await bob.download(ok(sent).content_uri))
    limit = ok(await alice.content_repository_config()).upload_size
    return [found.body.decode(), found.content_type, found.filename, limit > 0]


async def upgrade():
    made = ok(await alice.room_create(name="old", room_version="10")).room_id
    await sync(alice)
    ok(await alice.room_upgrade(made, "11"))
    await sync(alice)
    tombstone = ok(await alice.room_get_state_event(made, "m.room.tombstone")).content
    return sorted(tombstone)


async def openid():
    found = ok(await alice.get_openid_token(alice.user_id))
    return [found.token_type, found.expires_in > 0]


async def devices():
    ok(await bob.update_device(bob.device_id, {"display_name": "desk"}))
    every = ok(await bob.devices()).devices
    others = [device.id for device in every if device.id != bob.device_id]
    asked = await bob.delete_devices(others)
    auth = {"type": "m.login.password", "session": asked.session, "user": bob.user_id, "password": PASSWORD}
    auth["identifier"] = {"type": "m.id.user", "user": bob.user_id}
    ok(await bob.delete_devices(others, auth=auth))
    return [device.display_name for device in ok(await bob.devices()).devices]


async def leave_and_forget():
    ok(await bob.room_leave(room_id))
    ok(await bob.room_forget(room_id))
    return code(await bob.room_get_state(room_id))


async def log_out():
    token = bob.access_token
    ok(await bob.logout())
    bob.access_token = token
    return code(await bob.whoami())


async def main():
    global alice, bob
    alice = client("nio-alice", tempfile.mkdtemp())
    bob = client("nio-bob", tempfile.mkdtemp())
    await step("register", register)
    await step("log in by password", log_in)
    await step("first sync", first_sync)
    await step("create a room", create)
    await step("invite and join", invite_and_join)
    await step("send and receive", send_and_receive)
    await step("edit", edit)
    await step("react, once", react)
    await step("thread", thread)
    await step("receipts and read markers", receipts)
    await step("counts", counts)
    await step("typing", typing)
    await step("presence", presence)
    await step("redact", redact)
    await step("profile", profile)
    await step("page to the beginning", paging)
    await step("context", context)
    await step("state events", state)
    await step("aliases", aliases)
    await step("public rooms", public_rooms)
    await step("kick and ban", kick_and_ban)
    await step("knock", knock)
    await step("filters", filters)
    await step("push rules", push_rules)
    await step("upload keys", keys)
    await step("encrypted room", encrypted)
    await step("to-device messages", to_device)
    await step("media", media)
    await step("upgrade a room", upgrade)
    await step("OpenID token", openid)
    await step("devices", devices)
    await step("leave and forget", leave_and_forget)
    await step("log out", log_out)
    for each in (alice, bob):
        await each.close()


asyncio.run(main())
