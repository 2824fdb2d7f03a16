"""mautrix for Python: its client, and its application service."""

import asyncio
import json
import os

from mautrix.api import HTTPAPI, Method, Path
from mautrix.appservice import AppService, ASStateStore
from mautrix.client import Client
from mautrix.client.state_store import MemoryStateStore
from mautrix.errors import MatrixRequestError
from mautrix.types import (
    EncryptionKeyAlgorithm,
    EventFilter,
    EventType,
    Filter,
    MessageType,
    PaginationDirection,
    PowerLevelStateEventContent,
    PresenceState,
    PushActionType,
    PushRuleKind,
    PushRuleScope,
    RelatesTo,
    RelationType,
    RoomCreatePreset,
    RoomDirectoryVisibility,
    RoomEventFilter,
    RoomFilter,
    RoomTagInfo,
    SpecVersions,
    TextMessageEventContent,
)
from steps import PASSWORD, URL, equal, step, until

SERVICE = json.loads(os.environ.get("MATRIX_APPSERVICE_MAUTRIX", "{}"))
TEXT = EventType.ROOM_MESSAGE
alice = bob = room_id = service = None
events = {}
received = []


class ServiceStore(ASStateStore, MemoryStateStore):
    def __init__(self):
        ASStateStore.__init__(self)
        MemoryStateStore.__init__(self)


async def refused(work):
    try:
        found = await work
    except MatrixRequestError as error:
        return f"{error.http_status} {error.errcode}"
    raise AssertionError(f"it was not refused: {found}")


async def register(name):
    api = HTTPAPI(base_url=URL, default_retry_count=0)
    body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
    made = await api.request(Method.POST, Path.v3.register, body)
    await api.session.close()
    client = Client(
        mxid=made["user_id"],
        device_id=made["device_id"],
        base_url=URL,
        token=made["access_token"],
        state_store=MemoryStateStore(),
        default_retry_count=0,
    )
    client.add_event_handler(EventType.ALL, lambda event: events.setdefault((client.mxid, key(event)), event))
    return client


def key(event):
    return getattr(event, "event_id", None) or str(event.type)


async def accounts():
    global alice, bob
    alice = await register("mau-alice")
    bob = await register("mau-bob")


async def log_in():
    flows = await bob.get_login_flows()
    bob.device_id = None
    await bob.login(identifier=bob.mxid, password=PASSWORD, device_name="again")
    who = await bob.whoami()
    equal((who.user_id, who.device_id), (bob.mxid, bob.device_id), "who I am")
    return any(str(flow.type) == "m.login.password" for flow in flows.flows)


async def versions():
    found = await alice.versions()
    return found.supports_at_least(SpecVersions.V11)


async def start():
    for each in (alice, bob):
        made = await each.create_filter(Filter(room=RoomFilter(timeline=RoomEventFilter(limit=20))))
        equal((await each.get_filter(made)).room.timeline.limit, 20, "limit of the filter")
        each.start(Filter(room=RoomFilter(timeline=RoomEventFilter(limit=20)), presence=EventFilter(limit=10)))
    await until("a sync", lambda: alice.sync_store.get_next_batch())


def seen(of, event_id):
    return until(f"event {event_id}", lambda: events.get((of.mxid, event_id)))


async def create():
    global room_id
    room_id = await alice.create_room(
        alias_localpart="mau-room", name="mautrix", topic="works", invitees=[bob.mxid],
        preset=RoomCreatePreset.PRIVATE,
    )
    content = await alice.get_state_event(room_id, EventType.ROOM_NAME)
    return content.name


async def join():
    async def invited():
        return any(
            event.type == EventType.ROOM_MEMBER and event.room_id == room_id and event.state_key == bob.mxid
            for (user, _), event in events.items()
            if user == bob.mxid
        )

    await until("the invite", invited)
    await bob.join_room_by_id(room_id)
    equal(room_id in await bob.get_joined_rooms(), True, "the room is joined")
    return sorted(user.split(":")[0] for user in await alice.get_joined_members(room_id))


async def send():
    event_id = await alice.send_text(room_id, "hello", html="<b>hello</b>")
    event = await seen(bob, event_id)
    raw = await bob.get_event(room_id, event_id)
    return [event.content.body, event.content.formatted_body, raw.content.body]


async def edit():
    content = TextMessageEventContent(msgtype=MessageType.TEXT, body="second")
    first = await alice.send_text(room_id, "first")
    content.set_edit(first)
    event = await seen(bob, await alice.send_message(room_id, content))
    return [event.content.get_edit() == first, event.content.body]


async def react():
    first = await alice.send_text(room_id, "like it?")
    event = await seen(alice, await bob.react(room_id, first, "👍"))
    return [event.content.relates_to.key, await refused(bob.react(room_id, first, "👍"))]


async def reply_in_thread():
    root = await alice.send_text(room_id, "root")
    content = TextMessageEventContent(msgtype=MessageType.TEXT, body="reply")
    content.relates_to = RelatesTo(rel_type=RelationType.THREAD, event_id=root)
    event = await seen(alice, await bob.send_message(room_id, content))
    return event.content.get_thread_parent() == root


async def receipts():
    sent = await alice.send_text(room_id, "read me")
    await bob.send_receipt(room_id, sent)
    await bob.set_fully_read_marker(room_id, sent, sent)

    def arrived():
        found = events.pop((alice.mxid, "m.receipt"), None)
        return found and sent in found.content

    await until("the receipt", arrived)


async def typing():
    await bob.set_typing(room_id, 5000)

    def arrived():
        found = events.pop((alice.mxid, "m.typing"), None)
        return found and bob.mxid in found.content.user_ids

    await until("typing", arrived)


async def presence():
    await bob.set_presence(PresenceState.UNAVAILABLE, "lunch")
    found = await alice.get_presence(bob.mxid)
    # A sync may have made bob online again.
    return found.status_msg


async def redact():
    sent = await alice.send_text(room_id, "oops")
    await seen(bob, await alice.redact(room_id, sent, "typo"))
    raw = await bob.api.request(Method.GET, Path.v3.rooms[room_id].event[sent])
    return [raw["content"], raw["unsigned"]["redacted_because"]["content"]["reason"]]


async def profile():
    await bob.set_displayname("Bobby")
    await bob.set_avatar_url("mxc://example.org/bobby")

    async def arrived():
        member = await alice.state_store.get_member(room_id, bob.mxid)
        return (member.displayname, member.avatar_url) == ("Bobby", "mxc://example.org/bobby")

    await until("the profile in the room", arrived)
    found = await alice.get_profile(bob.mxid)
    return [found.displayname, found.avatar_url]


async def paging():
    for index in range(15):
        await alice.send_text(room_id, f"page {index}")
    token, found = None, []
    while True:
        page = await bob.get_messages(room_id, PaginationDirection.BACKWARD, token, limit=10)
        found += page.events
        if not page.end or not page.events:
            break
        token = page.end
    equal(found[-1].type, EventType.ROOM_CREATE, "the first event")
    bodies = [event.content.body for event in found if event.type == TEXT and event.content.body]
    return [body for body in bodies if body.startswith("page ")]


async def context():
    sent = [await alice.send_text(room_id, body) for body in "abc"]
    found = await bob.get_event_context(room_id, sent[1], limit=2)
    return [event.content.body for event in [*found.events_before, found.event, *found.events_after]]


async def state():
    kind = EventType.find("org.example.note", EventType.Class.STATE)
    await alice.send_state_event(room_id, kind, {"text": "hi"}, state_key="key")
    every = await bob.get_state(room_id)
    missing = await refused(bob.get_state_event(room_id, kind, "other"))
    return [sum(event.type == kind for event in every), missing]


async def power_levels():
    levels = PowerLevelStateEventContent()
    levels.users = {bob.mxid: 25}
    levels.events = {"m.room.name": 75}
    await alice.send_state_event(room_id, EventType.ROOM_POWER_LEVELS, levels)
    return await refused(bob.send_state_event(room_id, EventType.ROOM_NAME, {"name": "mine"}))


async def aliases():
    domain = alice.mxid.split(":", 1)[1]
    await alice.add_room_alias(room_id, "mau-other")
    found = await bob.resolve_room_alias(f"#mau-other:{domain}")
    equal(found.room_id, room_id, "room")
    await alice.remove_room_alias("mau-other")
    gone = await refused(bob.resolve_room_alias(f"#mau-other:{domain}"))
    first = await bob.resolve_room_alias(f"#mau-room:{domain}")
    return [gone, first.room_id == room_id]


async def directory():
    square = await alice.create_room(name="mautrix square", preset=RoomCreatePreset.PUBLIC)
    await alice.set_room_directory_visibility(square, RoomDirectoryVisibility.PUBLIC)
    found = await bob.get_room_directory(limit=50)
    await alice.set_room_directory_visibility(square, RoomDirectoryVisibility.PRIVATE)
    visibility = await alice.get_room_directory_visibility(square)
    return [[room.name for room in found.chunk if room.room_id == square], str(visibility)]


async def kick_and_ban():
    await alice.kick_user(room_id, bob.mxid, "out")
    barred = await refused(bob.join_room_by_id(room_id))
    await alice.invite_user(room_id, bob.mxid, "back")
    await bob.join_room_by_id(room_id)
    await alice.ban_user(room_id, bob.mxid, "out for good")
    banned = await refused(bob.join_room_by_id(room_id))
    await alice.unban_user(room_id, bob.mxid)
    await alice.invite_user(room_id, bob.mxid)
    await bob.join_room(f"#mau-room:{alice.mxid.split(':', 1)[1]}")
    return [barred.split()[0], banned.split()[0]]


async def account_data():
    await alice.set_account_data("org.example.note", {"text": "mine"})
    await alice.set_account_data("org.example.note", {"text": "of the room"}, room_id)
    await alice.set_room_tag(room_id, "u.work", RoomTagInfo(order=0.5))
    tags = await alice.get_room_tags(room_id)
    await alice.remove_room_tag(room_id, "u.work")
    left = await alice.get_room_tags(room_id)
    return [
        await alice.get_account_data("org.example.note"),
        await alice.get_account_data("org.example.note", room_id),
        tags.serialize(),
        left.serialize(),
    ]


async def push_rules():
    where = (PushRuleScope.GLOBAL, PushRuleKind.CONTENT, "mau.cake")
    await alice.set_push_rule(*where, actions=[PushActionType.NOTIFY], pattern="cake")
    found = await alice.get_push_rule(*where)
    await alice.remove_push_rule(*where)
    return [found.pattern, found.enabled, found.default, await refused(alice.get_push_rule(*where))]


async def to_device():
    kind = EventType.find("org.example.ping", EventType.Class.TO_DEVICE)
    await alice.send_to_one_device(kind, bob.mxid, bob.device_id, {"number": 7})
    event = await until("the message", lambda: events.get((bob.mxid, "org.example.ping")))
    return [event.sender == alice.mxid, event.content["number"]]


async def keys():
    counts = await bob.upload_keys(
        one_time_keys={"signed_curve25519:AAAA": {"key": "zKbLg+NrIjpnagy+pIY6uPL4ZwEG2v+8F9lmgsnlZzs", "signatures": {}}},
    )
    claimed = await alice.claim_keys({bob.mxid: {bob.device_id: EncryptionKeyAlgorithm.SIGNED_CURVE25519}})
    again = await alice.claim_keys({bob.mxid: {bob.device_id: EncryptionKeyAlgorithm.SIGNED_CURVE25519}})
    found = await alice.query_keys([bob.mxid])
    return [
        sorted(counts.values()),
        [str(each) for each in claimed.one_time_keys[bob.mxid][bob.device_id]],
        bool(again.one_time_keys),
        dict(found.device_keys.get(bob.mxid, {})),
    ]


async def media():
    uri = await alice.upload_media(b"hello", "text/plain", "hello.txt")
    config = await alice.get_media_repo_config()
    return [(await bob.download_media(uri)).decode(), config.upload_size > 0]


async def leave():
    await bob.leave_room(room_id, "bye")
    await bob.forget_room(room_id)
    return await refused(bob.get_state(room_id))


async def start_service():
    global service
    domain = alice.mxid.split(":", 1)[1]
    service = AppService(
        server=URL,
        domain=domain,
        as_token=SERVICE["as_token"],
        hs_token=SERVICE["hs_token"],
        bot_localpart=SERVICE["sender"],
        id=SERVICE["id"],
        state_store=ServiceStore(),
        ephemeral_events=True,
    )

    async def on_event(event):
        received.append(event)

    service.matrix_event_handler(on_event)
    await service.start("127.0.0.1", SERVICE["port"])
    await service.intent.ensure_registered()
    return (await service.intent.whoami()).user_id == service.bot_mxid


async def ping():
    return await service.intent.appservice_ping(SERVICE["id"]) is not None


async def service_users():
    ghost = service.intent.user(f"@{SERVICE['prefix']}ghost:{service.domain}")
    await ghost.ensure_registered()
    await ghost.set_displayname("Ghost")
    await alice.invite_user(room_id, ghost.mxid)
    await ghost.ensure_joined(room_id)
    sent = await ghost.send_text(room_id, "boo")
    return [(await seen(alice, sent)).sender == ghost.mxid]


async def transactions():
    sent = [await alice.send_text(room_id, f"for the service {index}") for index in range(5)]
    await until("the last event", lambda: any(getattr(event, "event_id", "") == sent[-1] for event in received))
    got = [event.event_id for event in received if getattr(event, "event_id", "") in sent]
    equal(got, sent, "order of the events")


async def timestamps():
    ghost = service.intent.user(f"@{SERVICE['prefix']}ghost:{service.domain}")
    sent = await ghost.send_text(room_id, "long ago", timestamp=1_500_000_000_000)
    return (await alice.get_event(room_id, sent)).timestamp


async def log_out():
    token = bob.api.token
    bob.stop()
    await bob.logout()
    bob.api.token = token
    return await refused(bob.whoami())


async def main():
    await step("register", accounts)
    await step("log in by password", log_in)
    await step("versions", versions)
    await step("filters, and start to sync", start)
    await step("create a room", create)
    await step("invite and join", join)
    await step("send and receive", send)
    await step("edit", edit)
    await step("react, once", react)
    await step("reply in a thread", reply_in_thread)
    await step("receipts and read markers", receipts)
    await step("typing", typing)
    await step("presence", presence)
    await step("redact", redact)
    await step("profile", profile)
    await step("page to the beginning", paging)
    await step("context", context)
    await step("state events", state)
    await step("power levels", power_levels)
    await step("aliases", aliases)
    await step("directory", directory)
    await step("kick and ban", kick_and_ban)
    await step("account data and tags", account_data)
    await step("push rules", push_rules)
    await step("to-device messages", to_device)
    await step("upload, claim and query keys", keys)
    await step("media", media)
    await step("start an application service", start_service)
    await step("ping the application service", ping)
    await step("users of the application service", service_users)
    await step("transactions arrive in order", transactions)
    await step("events with a time of their own", timestamps)
    await step("leave and forget", leave)
    await step("log out", log_out)
    alice.stop()
    for each in (alice, bob):
        await each.api.session.close()
    if service:
        await service.stop()


asyncio.run(main())
