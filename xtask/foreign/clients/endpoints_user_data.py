"""Account data, tags, filters, push rules, receipts, typing, presence, OpenID, TURN."""


def run(p):
    p.room("mine", preset="public_chat")
    p.quiet("POST /v3/join/{mine}", {}, who="bob")
    p.message("unread", "mine", "unread")
    p.message("thread_root", "mine", "root")
    p.message("thread_reply", "mine", "reply",
              **{"m.relates_to": {"rel_type": "m.thread", "event_id": "{thread_root}"}})
    account_data(p)
    tags(p)
    filters(p)
    push_rules(p)
    receipts(p)
    typing_and_presence(p)
    others(p)


def account_data(p):
    mine = "/v3/user/{alice}/account_data"
    p("account data that is not set", f"GET {mine}/org.example.none")
    p("set account data", f"PUT {mine}/org.example.note", {"text": "hi"})
    p("account data", f"GET {mine}/org.example.note")
    p("account data of another", f"GET {mine}/org.example.note", who="bob")
    p("set account data of another", f"PUT {mine}/org.example.note", {}, who="bob")
    p("set account data to a list", f"PUT {mine}/org.example.note", [])
    p("set the read marker as account data", f"PUT {mine}/m.fully_read", {})
    p("set push rules as account data", f"PUT {mine}/m.push_rules", {})
    room = "/v3/user/{alice}/rooms/{mine}/account_data"
    p("set account data of a room", f"PUT {room}/org.example.note", {"text": "hi"})
    p("account data of a room", f"GET {room}/org.example.note")
    p("account data of a room that is not set", f"GET {room}/org.example.none")
    p("set the read marker of a room as account data", f"PUT {room}/m.fully_read", {"event_id": "{unread}"})
    p("set push rules of a room as account data", f"PUT {room}/m.push_rules", {})
    p("set account data of an invalid room", "PUT /v3/user/{alice}/rooms/mine/account_data/org.example.note", {})
    p("ignore a user", f"PUT {mine}/m.ignored_user_list", {"ignored_users": {"@ep-none:{domain}": {}}})
    p("direct rooms", f"PUT {mine}/m.direct", {"{bob}": ["{mine}"]})


def tags(p):
    tags = "/v3/user/{alice}/rooms/{mine}/tags"
    p("no tags", f"GET {tags}")
    p("set a tag", f"PUT {tags}/m.favourite", {"order": 0.5})
    p("set a tag without an order", f"PUT {tags}/u.work", {})
    p("set a tag with an order out of range", f"PUT {tags}/u.far", {"order": 7})
    p("set a tag with a wrong order", f"PUT {tags}/u.wrong", {"order": "first"})
    p("set too long a tag", f"PUT {tags}/{'u' * 256}", {})
    p("tags", f"GET {tags}")
    p("tags of another", f"GET {tags}", who="bob")
    p("delete a tag", f"DELETE {tags}/u.work")
    p("delete a tag that is not there", f"DELETE {tags}/u.none")


def filters(p):
    filters = "/v3/user/{alice}/filter"
    whole = {"room": {"timeline": {"limit": 5, "types": ["m.*"]}, "rooms": ["{mine}"]}, "event_fields": ["type"]}
    p("make a filter", f"POST {filters}", whole, keep={"filter": "filter_id"})
    p("filter", f"GET {filters}/{{filter}}")
    p("a filter that is not there", f"GET {filters}/99")
    p("a filter of another", f"GET {filters}/{{filter}}", who="bob")
    p("make a filter for another", f"POST {filters}", {}, who="bob")
    for name, value in {
        "a room that is a string": {"room": "x"},
        "types that are a string": {"room": {"timeline": {"types": "x"}}},
        "a limit that is a string": {"room": {"timeline": {"limit": "x"}}},
        "a negative limit": {"room": {"timeline": {"limit": -1}}},
        "invalid rooms": {"room": {"rooms": ["x"]}},
        "invalid senders": {"room": {"timeline": {"senders": ["x"]}}},
        "an unknown format": {"event_format": "x"},
        "an unknown field": {"org.example": 1},
    }.items():
        p(f"make a filter with {name}", f"POST {filters}", value)


def push_rules(p):
    rules = "/v3/pushrules/global"
    p("push rules", "GET /v3/pushrules/")
    p("global push rules", "GET /v3/pushrules/global/")
    p("push rules without the slash", "GET /v3/pushrules")
    p("a default push rule", f"GET {rules}/override/.m.rule.master")
    p("is a push rule enabled", f"GET {rules}/override/.m.rule.master/enabled")
    p("actions of a push rule", f"GET {rules}/underride/.m.rule.message/actions")
    p("a push rule that is not there", f"GET {rules}/content/none")
    p("add a push rule", f"PUT {rules}/content/cake", {"pattern": "cake", "actions": ["notify"]})
    p("add a push rule before another", f"PUT {rules}/content/pie", {"pattern": "pie", "actions": []}, before="cake")
    p("add a push rule after none", f"PUT {rules}/content/tea", {"pattern": "tea", "actions": []}, after="none")
    p("add a push rule for a room", f"PUT {rules}/room/{{mine}}", {"actions": []})
    p("add a push rule for a sender", f"PUT {rules}/sender/{{bob}}", {"actions": []})
    override = {"conditions": [{"kind": "event_match", "key": "type", "pattern": "x"}], "actions": ["notify"]}
    p("add an override", f"PUT {rules}/override/mine", override)
    p("add an override with odd conditions", f"PUT {rules}/override/odd", {"conditions": "x", "actions": []})
    p("add a push rule without a pattern", f"PUT {rules}/content/bare", {"actions": []})
    p("add a push rule without actions", f"PUT {rules}/content/bare2", {"pattern": "x"})
    p("add a push rule with odd actions", f"PUT {rules}/content/odd", {"pattern": "x", "actions": [7]})
    p("add a push rule that begins with a dot", f"PUT {rules}/content/.mine", {"pattern": "x", "actions": []})
    p("add a push rule of an unknown kind", f"PUT {rules}/org.example/mine", {"actions": []})
    p("disable a push rule", f"PUT {rules}/content/cake/enabled", {"enabled": False})
    p("disable a push rule that is not there", f"PUT {rules}/content/none/enabled", {"enabled": False})
    p("disable with a wrong type", f"PUT {rules}/content/cake/enabled", {"enabled": "no"})
    p("change the actions of a push rule", f"PUT {rules}/content/cake/actions", {"actions": []})
    p("change the actions of a default push rule", f"PUT {rules}/underride/.m.rule.message/actions", {"actions": []})
    p.quiet(f"PUT {rules}/underride/.m.rule.message/actions", {"actions": ["notify"]})
    p("a push rule", f"GET {rules}/content/cake")
    p("delete a push rule", f"DELETE {rules}/content/cake")
    p("delete a push rule that is not there", f"DELETE {rules}/content/cake")
    p("delete a default push rule", f"DELETE {rules}/override/.m.rule.master")


def receipts(p):
    receipt = "POST /v3/rooms/{mine}/receipt"
    p("receipt", f"{receipt}/m.read/{{unread}}", {}, who="bob")
    p("receipt without a body", f"{receipt}/m.read/{{unread}}", who="bob")
    p("private receipt", f"{receipt}/m.read.private/{{unread}}", {}, who="bob")
    p("receipt of a thread", f"{receipt}/m.read/{{thread_reply}}", {"thread_id": "{thread_root}"}, who="bob")
    p("receipt of the main timeline", f"{receipt}/m.read/{{thread_root}}", {"thread_id": "main"}, who="bob")
    p("receipt with an empty thread", f"{receipt}/m.read/{{unread}}", {"thread_id": ""}, who="bob")
    p("receipt with a thread of a wrong type", f"{receipt}/m.read/{{unread}}", {"thread_id": 7}, who="bob")
    p("receipt in another thread", f"{receipt}/m.read/{{unread}}", {"thread_id": "{thread_root}"}, who="bob")
    p("receipt as a read marker", f"{receipt}/m.fully_read/{{unread}}", {}, who="bob")
    p("receipt as a read marker of a thread", f"{receipt}/m.fully_read/{{unread}}", {"thread_id": "main"}, who="bob")
    p("receipt of an unknown type", f"{receipt}/org.example/{{unread}}", {}, who="bob")
    p("receipt of nothing", f"{receipt}/m.read/$none", {}, who="bob")
    p("receipt, from outside", f"{receipt}/m.read/{{unread}}", {}, who="carol")
    markers = "POST /v3/rooms/{mine}/read_markers"
    p("read markers", markers, {"m.fully_read": "{unread}", "m.read": "{unread}", "m.read.private": "{unread}"}, who="bob")
    p("no read markers", markers, {}, who="bob")
    p("read markers of nothing", markers, {"m.fully_read": "$none"}, who="bob")
    p("read markers, from outside", markers, {"m.read": "{unread}"}, who="carol")


def typing_and_presence(p):
    typing = "PUT /v3/rooms/{mine}/typing"
    p("typing", f"{typing}/{{bob}}", {"typing": True, "timeout": 1000}, who="bob")
    p("typing without a timeout", f"{typing}/{{bob}}", {"typing": True}, who="bob")
    p("no typing", f"{typing}/{{bob}}", {"typing": False}, who="bob")
    p("typing of another", f"{typing}/{{alice}}", {"typing": True}, who="bob")
    p("typing, from outside", f"{typing}/{{carol}}", {"typing": True}, who="carol")
    p("typing of a wrong type", f"{typing}/{{bob}}", {"typing": "yes"}, who="bob")
    presence = "PUT /v3/presence"
    p("set presence", f"{presence}/{{bob}}/status", {"presence": "unavailable", "status_msg": "away"}, who="bob")
    p("presence", "GET /v3/presence/{bob}/status")
    p("set presence of another", f"{presence}/{{bob}}/status", {"presence": "online"})
    p("set an unknown presence", f"{presence}/{{bob}}/status", {"presence": "asleep"}, who="bob")
    p("presence of a stranger", "GET /v3/presence/@ep-none:{domain}/status")


def others(p):
    token = p("OpenID token", "POST /v3/user/{alice}/openid/request_token", {})
    p("OpenID token for another", "POST /v3/user/{alice}/openid/request_token", {}, who="bob")
    p("who an OpenID token names", "GET /_matrix/federation/v1/openid/userinfo", who=None,
      access_token=token.get("access_token", "x"))
    p("who a wrong OpenID token names", "GET /_matrix/federation/v1/openid/userinfo", who=None, access_token="x")
    p("TURN servers", "GET /v3/voip/turnServer")
