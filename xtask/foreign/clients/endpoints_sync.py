"""Sync: the first, the following, with filters; and logging out."""

import json

NOTHING = {"room": {"rooms": []}, "presence": {"types": []}, "account_data": {"types": []}}


def run(p):
    p.register("erin")
    p.room("synced", who="erin", preset="public_chat", name="Synced")
    p.message("sync0", "synced", "first", who="erin")
    p("first sync", "GET /v3/sync", who="erin", timeout="0")
    first = p.quiet("GET /v3/sync", who="erin", timeout="0")
    p.ids["s1"] = first.get("next_batch", "missing")
    p("sync without changes", "GET /v3/sync", who="erin", timeout="0", since="{s1}")
    p("sync without a timeout", "GET /v3/sync", who="erin", filter=json.dumps(NOTHING))
    p.quiet("POST /v3/join/{synced}", {}, who="bob")
    p.message("sync1", "synced", "second", who="bob")
    p("sync with a new message", "GET /v3/sync", who="erin", timeout="0", since="{s1}",
      filter='{"presence":{"types":[]}}')
    p("sync with lazy members", "GET /v3/sync", who="erin", timeout="0", since="{s1}",
      filter='{"room":{"state":{"lazy_load_members":true}},"presence":{"types":[]}}')
    p("sync with the state after", "GET /v3/sync", who="erin", timeout="0", since="{s1}", use_state_after="true",
      filter='{"presence":{"types":[]}}')
    p("sync with full state", "GET /v3/sync", who="erin", timeout="0", since="{s1}", full_state="true",
      filter='{"presence":{"types":[]}}')
    p("sync with some fields", "GET /v3/sync", who="erin", timeout="0",
      filter='{"event_fields":["type","content.body"],"presence":{"types":[]}}')
    p("sync with a limit", "GET /v3/sync", who="erin", timeout="0",
      filter='{"room":{"timeline":{"limit":1}},"presence":{"types":[]}}')
    p("sync of no rooms", "GET /v3/sync", who="erin", timeout="0", filter=json.dumps(NOTHING))
    p("sync of messages only", "GET /v3/sync", who="erin", timeout="0",
      filter='{"room":{"timeline":{"types":["m.room.message"]},"state":{"types":[]}},"presence":{"types":[]}}')
    p("sync with a filter of wrong types", "GET /v3/sync", who="erin", timeout="0", filter='{"room":"x"}')
    p("sync with a filter that is not there", "GET /v3/sync", who="erin", timeout="0", filter="99")
    p("sync from a wrong token", "GET /v3/sync", who="erin", timeout="0", since="wrong")
    p("sync with a wrong timeout", "GET /v3/sync", who="erin", timeout="soon")
    p("sync with a wrong presence", "GET /v3/sync", who="erin", timeout="0", set_presence="asleep")
    p("sync on r0", "GET /r0/sync", who="erin", timeout="0", since="{s1}", filter=json.dumps(NOTHING))
    p("sync without a token", "GET /v3/sync", who=None, timeout="0")
    devices = json.dumps(NOTHING)
    p("sync with a to-device message", "GET /v3/sync", who="bob", timeout="0", since="{bob_since}", filter=devices)
    p("sync with the same to-device message", "GET /v3/sync", who="bob", timeout="0", since="{bob_since}", filter=devices)
    changes(p)
    invitations(p)
    p("log out", "POST /v3/logout", {}, who="erin")
    p("sync after logging out", "GET /v3/sync", who="erin", timeout="0")
    p("log out without a body", "POST /v3/logout", who="dora")
    p("log out everywhere", "POST /v3/logout/all", {}, who="carol")


def changes(p):
    quiet = {"presence": {"types": []}, "room": {"rooms": [p.ids["synced"]]}}
    now = p.quiet("GET /v3/sync", who="erin", timeout="0", since="{s1}")
    p.ids["s2"] = now.get("next_batch", "missing")
    p.quiet("PUT /v3/user/{erin}/rooms/{synced}/tags/u.work", {}, who="erin")
    p.quiet("PUT /v3/user/{erin}/account_data/org.example.note", {"text": "hi"}, who="erin")
    p("sync with account data", "GET /v3/sync", who="erin", timeout="0", since="{s2}", filter=json.dumps(quiet))
    p.quiet("POST /v3/rooms/{synced}/receipt/m.read/{sync1}", {}, who="bob")
    p.quiet("PUT /v3/rooms/{synced}/typing/{bob}", {"typing": True, "timeout": 30000}, who="bob")
    ephemeral = {**quiet, "room": {**quiet["room"], "account_data": {"types": []}}, "account_data": {"types": []}}
    p("sync with receipts and typing", "GET /v3/sync", who="erin", timeout="0", since="{s2}", filter=json.dumps(ephemeral))
    p.message("count1", "synced", "count", who="bob")
    threads = {**quiet, "room": {**quiet["room"], "timeline": {"unread_thread_notifications": True}}}
    p.message("count2", "synced", "count", who="bob", **{"m.relates_to": {"rel_type": "m.thread", "event_id": "{sync0}"}})
    p("sync with counts of threads", "GET /v3/sync", who="erin", timeout="0", since="{s2}", filter=json.dumps(threads))


def invitations(p):
    p.room("asked", who="bob", invite=["{erin}"], name="Asked")
    nothing = {"presence": {"types": []}, "account_data": {"types": []}, "room": {"rooms": [p.ids["asked"]]}}
    p("sync with an invitation", "GET /v3/sync", who="erin", timeout="0", filter=json.dumps(nothing))
    knock = [{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]
    p.room("gate", who="bob", initial_state=knock)
    p.quiet("POST /v3/knock/{gate}", {}, who="erin")
    nothing["room"]["rooms"] = [p.ids["gate"]]
    p("sync with a knock", "GET /v3/sync", who="erin", timeout="0", filter=json.dumps(nothing))
    now = p.quiet("GET /v3/sync", who="erin", timeout="0")
    p.ids["s3"] = now.get("next_batch", "missing")
    p.quiet("POST /v3/rooms/{synced}/leave", {}, who="erin")
    nothing["room"]["rooms"] = [p.ids["synced"]]
    p("sync after leaving", "GET /v3/sync", who="erin", timeout="0", since="{s3}", filter=json.dumps(nothing))
    nothing["room"]["include_leave"] = True
    p("sync with left rooms", "GET /v3/sync", who="erin", timeout="0", filter=json.dumps(nothing))
