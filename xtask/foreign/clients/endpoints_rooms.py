"""Creating rooms, membership, and bodies that are left out."""


def run(p):
    create(p)
    versions(p)
    membership(p)
    guests(p)
    bodies(p)
    upgrades(p)


def create(p):
    p("create a room", "POST /v3/createRoom", {}, keep={"plain": "room_id"})
    p("create a room on r0", "POST /r0/createRoom", {})
    for preset in ("private_chat", "trusted_private_chat", "public_chat"):
        p(f"create with preset {preset}", "POST /v3/createRoom", {"preset": preset, "invite": ["{bob}"]},
          keep={preset: "room_id"})
        p(f"power levels of {preset}", f"GET /v3/rooms/{{{preset}}}/state/m.room.power_levels")
        p(f"state of {preset}", f"GET /v3/rooms/{{{preset}}}/state")
    p("create with an unknown preset", "POST /v3/createRoom", {"preset": "org.example"})
    p("create with an alias", "POST /v3/createRoom", {"room_alias_name": "ep-made"}, keep={"aliased": "room_id"})
    p("create with a taken alias", "POST /v3/createRoom", {"room_alias_name": "ep-made"})
    p("create with an invalid alias", "POST /v3/createRoom", {"room_alias_name": "ep made:x"})
    p("create with a name and a topic", "POST /v3/createRoom", {"name": "Name", "topic": "Topic"},
      keep={"named": "room_id"})
    p("topic of a new room", "GET /v3/rooms/{named}/state/m.room.topic")
    initial = [{"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}]
    p("create with initial state", "POST /v3/createRoom", {"initial_state": initial}, keep={"initial": "room_id"})
    p("initial state of a new room", "GET /v3/rooms/{initial}/state/m.room.history_visibility/")
    p("create with other power levels", "POST /v3/createRoom",
      {"power_level_content_override": {"events_default": 10, "users": {"{bob}": 20}}}, keep={"levels": "room_id"})
    p("overridden power levels", "GET /v3/rooms/{levels}/state/m.room.power_levels/")
    p("create with the creator in power levels", "POST /v3/createRoom",
      {"power_level_content_override": {"users": {"{alice}": 100}}})
    p("create with invalid power levels", "POST /v3/createRoom", {"power_level_content_override": {"users": "nobody"}})
    p("create a space", "POST /v3/createRoom", {"creation_content": {"type": "m.space", "m.federate": False}},
      keep={"space": "room_id"})
    p("content of the creation", "GET /v3/rooms/{space}/state/m.room.create/")
    p("create with an additional creator", "POST /v3/createRoom",
      {"creation_content": {"additional_creators": ["{bob}"]}})
    p("create and invite by email", "POST /v3/createRoom", {"invite_3pid": [
        {"id_server": "127.0.0.1:1", "id_access_token": "x", "medium": "email", "address": "x@example.org"}]})
    p("create and invite no one", "POST /v3/createRoom", {"invite": ["@ep-none:{domain}"]})
    p("create and invite an invalid id", "POST /v3/createRoom", {"invite": ["bob"]})
    p("create with a name of a wrong type", "POST /v3/createRoom", {"name": 7})
    p("create without a token", "POST /v3/createRoom", {}, who=None)


def versions(p):
    for version in range(1, 13):
        p(f"create version {version}", "POST /v3/createRoom", {"room_version": str(version)},
          keep={f"version{version}": "room_id"})
        p(f"creation of version {version}", f"GET /v3/rooms/{{version{version}}}/state/m.room.create/")
    p("create an unknown version", "POST /v3/createRoom", {"room_version": "org.example"})
    p("create a version that is no string", "POST /v3/createRoom", {"room_version": 11})


def membership(p):
    p.room("hall", preset="public_chat", name="Hall")
    p("join by id", "POST /v3/rooms/{hall}/join", {}, who="bob")
    p("join again", "POST /v3/join/{hall}", {"reason": "once more"}, who="bob")
    p("join a room that does not exist", "POST /v3/join/!none:{domain}", {}, who="bob")
    p("join an invalid id", "POST /v3/join/none", {}, who="bob")
    p("joined rooms", "GET /v3/joined_rooms", who="bob")
    p("join a private room", "POST /v3/join/{plain}", {}, who="bob")
    p("invite", "POST /v3/rooms/{plain}/invite", {"user_id": "{bob}", "reason": "come"})
    p("invite again", "POST /v3/rooms/{plain}/invite", {"user_id": "{bob}"})
    p("invite an invalid id", "POST /v3/rooms/{plain}/invite", {"user_id": "bob"})
    p("invite without an id", "POST /v3/rooms/{plain}/invite", {})
    p("invite by email", "POST /v3/rooms/{plain}/invite", {
        "id_server": "127.0.0.1:1", "id_access_token": "x", "medium": "email", "address": "x@example.org"})
    p("invite from outside", "POST /v3/rooms/{plain}/invite", {"user_id": "{carol}"}, who="carol")
    p("join by invitation", "POST /v3/join/{plain}", {}, who="bob")
    p("invite a member", "POST /v3/rooms/{plain}/invite", {"user_id": "{bob}"})
    p("kick without power", "POST /v3/rooms/{plain}/kick", {"user_id": "{alice}"}, who="bob")
    p("kick", "POST /v3/rooms/{plain}/kick", {"user_id": "{bob}", "reason": "out"})
    p("kick again", "POST /v3/rooms/{plain}/kick", {"user_id": "{bob}"})
    p("ban", "POST /v3/rooms/{plain}/ban", {"user_id": "{bob}", "reason": "out"})
    p("invite a banned user", "POST /v3/rooms/{plain}/invite", {"user_id": "{bob}"})
    p("join when banned", "POST /v3/join/{plain}", {}, who="bob")
    p("unban", "POST /v3/rooms/{plain}/unban", {"user_id": "{bob}"})
    p("unban again", "POST /v3/rooms/{plain}/unban", {"user_id": "{bob}"})
    p("leave a room one is not in", "POST /v3/rooms/{plain}/leave", {}, who="carol")
    p("leave", "POST /v3/rooms/{hall}/leave", {"reason": "bye"}, who="bob")
    p("leave again", "POST /v3/rooms/{hall}/leave", {}, who="bob")
    p("forget", "POST /v3/rooms/{hall}/forget", {}, who="bob")
    p("forget a joined room", "POST /v3/rooms/{plain}/forget", {})
    p("state after forgetting", "GET /v3/rooms/{hall}/state", who="bob")
    knock = [{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]
    p.room("door", initial_state=knock)
    p("knock", "POST /v3/knock/{door}", {"reason": "please"}, who="bob")
    p("knock on a public room", "POST /v3/knock/{hall}", {}, who="bob")
    p("a member event of one's own", "PUT /v3/rooms/{hall}/state/m.room.member/{alice}",
      {"membership": "join", "displayname": "Here"})
    p("a member event of another", "PUT /v3/rooms/{hall}/state/m.room.member/{bob}", {"membership": "join"})
    p("invite by a member event", "PUT /v3/rooms/{hall}/state/m.room.member/{carol}", {"membership": "invite"})
    p("a member event without a membership", "PUT /v3/rooms/{hall}/state/m.room.member/{alice}", {})
    allow = [{"type": "m.room_membership", "room_id": "{hall}"}]
    p.room("inner", initial_state=[
        {"type": "m.room.join_rules", "content": {"join_rule": "restricted", "allow": allow}}])
    p("join a restricted room from outside", "POST /v3/join/{inner}", {}, who="bob")
    p.quiet("POST /v3/join/{hall}", {}, who="bob")
    p("join a restricted room", "POST /v3/join/{inner}", {}, who="bob")
    p("the member event of a restricted join", "GET /v3/rooms/{inner}/state/m.room.member/{bob}")
    p("joined members", "GET /v3/rooms/{hall}/joined_members")
    p("members", "GET /v3/rooms/{hall}/members")
    p("members who joined", "GET /v3/rooms/{hall}/members", membership="join")
    p("members but those who joined", "GET /v3/rooms/{hall}/members", not_membership="join")
    p("members, from outside", "GET /v3/rooms/{plain}/members", who="carol")
    p("room summary", "GET /v1/room_summary/{hall}", who="carol")
    p("hierarchy of a space", "GET /v1/rooms/{space}/hierarchy")
    p("mutual rooms", "GET /v1/mutual_rooms", user_id="{bob}")


def guests(p):
    p.room("lobby", preset="public_chat", initial_state=[
        {"type": "m.room.guest_access", "content": {"guest_access": "can_join"}}])
    p("a guest joins", "POST /v3/rooms/{lobby}/join", {}, who="guest")
    p("a guest joins where guests may not", "POST /v3/rooms/{hall}/join", {}, who="guest")
    p("a guest sends", "PUT /v3/rooms/{lobby}/send/m.room.message/g1", {"msgtype": "m.text", "body": "hi"}, who="guest")
    p("a guest reads", "GET /v3/rooms/{lobby}/messages", who="guest", dir="b")
    p("a guest uploads keys", "POST /v3/keys/upload", {}, who="guest")
    p.quiet("PUT /v3/rooms/{lobby}/state/m.room.guest_access", {"guest_access": "forbidden"})
    p("a guest sends where guests may no longer be", "PUT /v3/rooms/{lobby}/send/m.room.message/g2", {}, who="guest")
    p("a guest leaves", "POST /v3/rooms/{lobby}/leave", {}, who="guest")


def bodies(p):
    p.room("open", preset="public_chat")
    p("join without a body", "POST /v3/join/{open}", who="bob")
    p("join by id without a body", "POST /v3/rooms/{open}/join", who="bob")
    p("leave without a body", "POST /v3/rooms/{open}/leave", who="bob")
    p("forget without a body", "POST /v3/rooms/{open}/forget", who="bob")
    p("create without a body", "POST /v3/createRoom")
    p("invite without a body", "POST /v3/rooms/{open}/invite")
    p("kick without a body", "POST /v3/rooms/{open}/kick")
    p("send without a body", "PUT /v3/rooms/{open}/send/m.room.message/nobody")
    p("knock without a body", "POST /v3/knock/{door}", who="carol")
    p("join with a list", "POST /v3/join/{open}", [], who="bob")
    p("join with what is not JSON", "POST /v3/join/{open}", raw="{", who="bob")
    p("create with what is not JSON", "POST /v3/createRoom", raw="{")
    p("create with a list", "POST /v3/createRoom", [])


def upgrades(p):
    p.room("old", preset="public_chat", room_version="11", name="Old", invite=["{bob}"])
    p("upgrade without power", "POST /v3/rooms/{old}/upgrade", {"new_version": "12"}, who="bob")
    p("upgrade to an unknown version", "POST /v3/rooms/{old}/upgrade", {"new_version": "org.example"})
    p("upgrade", "POST /v3/rooms/{old}/upgrade", {"new_version": "12"}, keep={"upgraded": "replacement_room"})
    p("tombstone", "GET /v3/rooms/{old}/state/m.room.tombstone/")
    p("creation of an upgraded room", "GET /v3/rooms/{upgraded}/state/m.room.create/")
    p("power levels of an old room", "GET /v3/rooms/{old}/state/m.room.power_levels/")
    p("name of an upgraded room", "GET /v3/rooms/{upgraded}/state/m.room.name/")
