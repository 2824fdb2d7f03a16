"""What each history visibility shows to members, former members and others."""

VISIBILITIES = ("world_readable", "shared", "invited", "joined")


def run(p):
    for visibility in VISIBILITIES:
        room = f"seen_{visibility}"
        p.room(room, preset="public_chat", initial_state=[
            {"type": "m.room.history_visibility", "content": {"history_visibility": visibility}}])
        p.message(f"{room}_before", room, "before")
        p.quiet(f"POST /v3/rooms/{{{room}}}/invite", {"user_id": "{bob}"})
        p.message(f"{room}_invited", room, "invited")
        p.quiet(f"POST /v3/join/{{{room}}}", {}, who="bob")
        p.message(f"{room}_joined", room, "joined")
        for when in ("before", "invited", "joined"):
            p(f"{visibility}: event {when}, to a member", f"GET /v3/rooms/{{{room}}}/event/{{{room}_{when}}}", who="bob")
        p(f"{visibility}: event, to an outsider", f"GET /v3/rooms/{{{room}}}/event/{{{room}_before}}", who="carol")
        p(f"{visibility}: messages, to a member", f"GET /v3/rooms/{{{room}}}/messages", dir="b", who="bob")
        p(f"{visibility}: messages, to an outsider", f"GET /v3/rooms/{{{room}}}/messages", dir="b", who="carol")
        p(f"{visibility}: state, to an outsider", f"GET /v3/rooms/{{{room}}}/state", who="carol")
        p(f"{visibility}: context, to an outsider", f"GET /v3/rooms/{{{room}}}/context/{{{room}_joined}}", who="carol")
        p.quiet(f"POST /v3/rooms/{{{room}}}/leave", {}, who="bob")
        p.message(f"{room}_after", room, "after")
        p.quiet(f"PUT /v3/rooms/{{{room}}}/state/m.room.name", {"name": "after"})
        for when in ("joined", "after"):
            p(f"{visibility}: event {when}, to a former member",
              f"GET /v3/rooms/{{{room}}}/event/{{{room}_{when}}}", who="bob")
        p(f"{visibility}: messages, to a former member", f"GET /v3/rooms/{{{room}}}/messages", dir="b", who="bob")
        p(f"{visibility}: name, to a former member", f"GET /v3/rooms/{{{room}}}/state/m.room.name/", who="bob")
        p(f"{visibility}: members, to a former member", f"GET /v3/rooms/{{{room}}}/members", who="bob")
        p(f"{visibility}: relations, to a former member",
          f"GET /v1/rooms/{{{room}}}/relations/{{{room}_after}}", who="bob")
    room = "seen_shared"
    page = p.quiet(f"GET /v3/rooms/{{{room}}}/messages", dir="b", limit="1")
    p.ids["then"] = page.get("end", "missing")
    p("members at a time", f"GET /v3/rooms/{{{room}}}/members", at="{then}")
    p("joined members, to a former member", f"GET /v3/rooms/{{{room}}}/joined_members", who="bob")
