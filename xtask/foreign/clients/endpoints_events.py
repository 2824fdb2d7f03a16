"""Sending, state, redactions, relations."""

BIG = "x" * 66_000


def run(p):
    p.room("talk", preset="public_chat", name="Talk")
    p.quiet("POST /v3/join/{talk}", {}, who="bob")
    sending(p)
    state(p)
    reading(p)
    relations(p)
    redactions(p)
    reports(p)


def sending(p):
    def content(value):
        return {"msgtype": "m.text", "body": "x", "org.example": value}

    message = "PUT /v3/rooms/{talk}/send/m.room.message"
    p("send", f"{message}/t1", content(1), keep={"sent": "event_id"})
    p("send again", f"{message}/t1", content(1))
    p("send from outside", f"{message}/t2", content(1), who="carol")
    p("send to no room", "PUT /v3/rooms/!none:{domain}/send/m.room.message/t3", content(1))
    p("send a number with a fraction", f"{message}/t4", content(1.5))
    p("send the largest integer", f"{message}/t5", content(2**53 - 1))
    p("send too large an integer", f"{message}/t6", content(2**53))
    p("send too small an integer", f"{message}/t7", content(-(2**53)))
    p("send too large an event", f"{message}/t8", content(BIG))
    p("send a list", f"{message}/t9", [])
    p("send what is not JSON", f"{message}/t10", raw="{")
    p("send too long a type", f"PUT /v3/rooms/{{talk}}/send/{'t' * 256}/t11", {})
    p("send the longest type", f"PUT /v3/rooms/{{talk}}/send/{'t' * 255}/t12", {})
    p("send a member event as a message", "PUT /v3/rooms/{talk}/send/m.room.member/t13", {"membership": "join"})
    p("send a creation as a message", "PUT /v3/rooms/{talk}/send/m.room.create/t14", {})
    p("send on r0", "PUT /r0/rooms/{talk}/send/m.room.message/t15", content(1))
    p("send a number with a fraction in version 5", "PUT /v3/rooms/{version5}/send/m.room.message/t16", content(1.5))
    p("send too large an integer in version 5", "PUT /v3/rooms/{version5}/send/m.room.message/t17", content(2**53))


def state(p):
    levels = "PUT /v3/rooms/{talk}/state/m.room.power_levels"
    p("send state", "PUT /v3/rooms/{talk}/state/org.example.note/key", {"text": "hi"}, keep={"noted": "event_id"})
    p("send the same state", "PUT /v3/rooms/{talk}/state/org.example.note/key", {"text": "hi"})
    p("send state without a key", "PUT /v3/rooms/{talk}/state/org.example.note", {"text": "none"})
    p("send state without power", "PUT /v3/rooms/{talk}/state/m.room.name", {"name": "mine"}, who="bob")
    p("send too long a state key", f"PUT /v3/rooms/{{talk}}/state/org.example.note/{'k' * 256}", {})
    p("send state keyed by another user", "PUT /v3/rooms/{talk}/state/org.example.note/{bob}", {})
    p("state", "GET /v3/rooms/{talk}/state")
    p("state, from outside", "GET /v3/rooms/{talk}/state", who="carol")
    p("one state event", "GET /v3/rooms/{talk}/state/org.example.note/key")
    p("one state event, whole", "GET /v3/rooms/{talk}/state/org.example.note/key", format="event")
    p("state that is not set", "GET /v3/rooms/{talk}/state/org.example.note/other")
    for name, value in {
        "users of a wrong type": {"users": "nobody"},
        "a level that is a word": {"users": {"{bob}": "high"}},
        "a level that is a number in a string": {"users": {"{bob}": "50"}},
        "a level with a fraction": {"users": {"{bob}": 1.5}},
        "an invalid user id": {"users": {"bob": 50}},
        "a creator": {"users": {"{alice}": 100}},
        "events of a wrong type": {"events": []},
        "notifications of a wrong type": {"notifications": {"room": "x"}},
    }.items():
        p(f"power levels with {name}", levels, value)
    p("power levels", levels, {"users": {"{bob}": 50}, "events": {"m.room.name": 60}})
    p("raise oneself", levels, {"users": {"{bob}": 100}}, who="bob")
    p("name a room", "PUT /v3/rooms/{talk}/state/m.room.name", {"name": "Talk 2"})
    p("a canonical alias that is not there", "PUT /v3/rooms/{talk}/state/m.room.canonical_alias",
      {"alias": "#ep-none:{domain}"})
    p("change the creation", "PUT /v3/rooms/{talk}/state/m.room.create", {"x": 1})
    p("encrypt a room", "PUT /v3/rooms/{plain}/state/m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})


def reading(p):
    for index in range(5):
        p.message(f"read{index}", "talk", f"read {index}")
    p("event", "GET /v3/rooms/{talk}/event/{sent}")
    p("event, by another", "GET /v3/rooms/{talk}/event/{sent}", who="bob")
    p("state event with what it replaced", "GET /v3/rooms/{talk}/event/{noted}")
    p("event, from outside", "GET /v3/rooms/{talk}/event/{sent}", who="carol")
    p("an event that does not exist", "GET /v3/rooms/{talk}/event/$none")
    p("an event of another room", "GET /v3/rooms/{plain}/event/{sent}")
    page = p("messages", "GET /v3/rooms/{talk}/messages", dir="b", limit="3")
    p.ids["page"] = page.get("end", "missing")
    p("the next messages", "GET /v3/rooms/{talk}/messages", dir="b", limit="3", **{"from": "{page}"})
    p("messages from the beginning", "GET /v3/rooms/{talk}/messages", dir="f", limit="3")
    p("messages without a direction", "GET /v3/rooms/{talk}/messages")
    p("messages in a wrong direction", "GET /v3/rooms/{talk}/messages", dir="x")
    p("messages from a wrong token", "GET /v3/rooms/{talk}/messages", dir="b", **{"from": "wrong"})
    p("messages with a negative limit", "GET /v3/rooms/{talk}/messages", dir="b", limit="-1")
    p("messages, filtered", "GET /v3/rooms/{talk}/messages", dir="b",
      filter='{"types":["m.room.message"],"limit":2,"senders":["{alice}"]}'.replace("{alice}", p.ids["alice"]))
    p("messages with lazy members", "GET /v3/rooms/{talk}/messages", dir="b", filter='{"lazy_load_members":true}')
    p("messages with a filter of wrong types", "GET /v3/rooms/{talk}/messages", dir="b", filter='{"types":"x"}')
    p("messages with a filter that is not JSON", "GET /v3/rooms/{talk}/messages", dir="b", filter="{")
    p("messages, from outside", "GET /v3/rooms/{talk}/messages", dir="b", who="carol")
    p("messages on r0", "GET /r0/rooms/{talk}/messages", dir="b", limit="1")
    p("context", "GET /v3/rooms/{talk}/context/{read2}", limit="2")
    p("context of nothing", "GET /v3/rooms/{talk}/context/$none")
    p("context with a filter", "GET /v3/rooms/{talk}/context/{read2}", filter='{"types":["org.example"]}')
    p("context with a filter of wrong types", "GET /v3/rooms/{talk}/context/{read2}", filter='{"types":7}')
    p("event by time", "GET /v1/rooms/{talk}/timestamp_to_event", ts="0", dir="f")
    p("event by time, too late", "GET /v1/rooms/{talk}/timestamp_to_event", ts="9999999999999", dir="f")


def relations(p):
    def related(kind, **more):
        return {"rel_type": kind, "event_id": "{base}", **more}

    p.message("base", "talk", "base")
    edit = {"m.relates_to": related("m.replace"), "m.new_content": {"msgtype": "m.text", "body": "edited"}}
    p.message("edit", "talk", "* edited", **edit)
    reaction = {"m.relates_to": related("m.annotation", key="x")}
    p("react", "PUT /v3/rooms/{talk}/send/m.reaction/r1", reaction, keep={"reaction": "event_id"})
    p("react again", "PUT /v3/rooms/{talk}/send/m.reaction/r2", reaction)
    p.message("reply1", "talk", "reply", who="bob", **{"m.relates_to": related("m.thread")})
    nested = {"rel_type": "m.thread", "event_id": "{reply1}"}
    p("a thread in a thread", "PUT /v3/rooms/{talk}/send/m.room.message/r3",
      {"msgtype": "m.text", "body": "x", "m.relates_to": nested})
    p("a thread on a reaction", "PUT /v3/rooms/{talk}/send/m.room.message/r4",
      {"msgtype": "m.text", "body": "x", "m.relates_to": {"rel_type": "m.thread", "event_id": "{reaction}"}})
    p("a relation to nothing", "PUT /v3/rooms/{talk}/send/m.room.message/r5",
      {"msgtype": "m.text", "body": "x", "m.relates_to": {"rel_type": "m.thread", "event_id": "$none"}})
    p("an event with aggregations", "GET /v3/rooms/{talk}/event/{base}")
    p("relations", "GET /v1/rooms/{talk}/relations/{base}")
    p("relations of a type", "GET /v1/rooms/{talk}/relations/{base}/m.thread")
    p("relations of a type and an event type", "GET /v1/rooms/{talk}/relations/{base}/m.annotation/m.reaction")
    p("relations, forwards", "GET /v1/rooms/{talk}/relations/{base}", dir="f", limit="1")
    p("relations, recursive", "GET /v1/rooms/{talk}/relations/{base}", recurse="true")
    p("relations of nothing", "GET /v1/rooms/{talk}/relations/$none")
    p("relations, from outside", "GET /v1/rooms/{talk}/relations/{base}", who="carol")
    p("threads", "GET /v1/rooms/{talk}/threads")
    p("threads with one's own messages", "GET /v1/rooms/{talk}/threads", include="participated", who="bob")
    p("threads of a wrong kind", "GET /v1/rooms/{talk}/threads", include="x")


def redactions(p):
    p.message("bad1", "talk", "bad")
    p.message("bad2", "talk", "bad")
    p("redact", "PUT /v3/rooms/{talk}/redact/{bad1}/d1", {"reason": "typo"}, keep={"redaction": "event_id"})
    p("redact again", "PUT /v3/rooms/{talk}/redact/{bad1}/d1", {"reason": "typo"})
    p("a redacted event", "GET /v3/rooms/{talk}/event/{bad1}")
    p("a redaction", "GET /v3/rooms/{talk}/event/{redaction}")
    p("redact by sending", "PUT /v3/rooms/{talk}/send/m.room.redaction/d2", {"redacts": "{bad2}"})
    p("redact by sending in version 10", "PUT /v3/rooms/{version10}/send/m.room.redaction/d3", {"redacts": "{bad2}"})
    p("redact nothing", "PUT /v3/rooms/{talk}/redact/$none/d4", {})
    p("redact without power", "PUT /v3/rooms/{talk}/redact/{sent}/d5", {}, who="carol")
    p("redact a reaction", "PUT /v3/rooms/{talk}/redact/{reaction}/d6", {})
    p("relations after a redaction", "GET /v1/rooms/{talk}/relations/{base}/m.annotation")


def reports(p):
    p("report an event", "POST /v3/rooms/{talk}/report/{sent}", {"reason": "rude"})
    p("report nothing", "POST /v3/rooms/{talk}/report/$none", {"reason": "rude"})
    p("report an event, from outside", "POST /v3/rooms/{talk}/report/{sent}", {"reason": "x"}, who="carol")
    p("report a room", "POST /v3/rooms/{talk}/report", {"reason": "rude"})
    p("report no room", "POST /v3/rooms/!none:{domain}/report", {"reason": "rude"})
    p("report a user", "POST /v3/users/{bob}/report", {"reason": "rude"})
    p("report no user", "POST /v3/users/@ep-none:{domain}/report", {"reason": "rude"})
    p("report without a reason", "POST /v3/rooms/{talk}/report", {})
