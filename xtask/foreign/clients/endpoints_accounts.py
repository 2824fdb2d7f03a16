"""Versions, registration, login, devices, profiles, media, and what is not served."""

import json
import os

from steps import PASSWORD

SERVICE = json.loads(os.environ.get("MATRIX_APPSERVICE_BOT") or "{}")
DUMMY = {"type": "m.login.dummy"}


def run(p):
    accounts(p)
    devices(p)
    profiles(p)
    media(p)
    application_services(p)
    not_served(p)


def accounts(p):
    # The lists differ by design: see docs/homeserver.md.
    p("versions", "GET /versions", who=None)
    p("capabilities", "GET /v3/capabilities")
    p("login flows", "GET /v3/login", who=None)
    p("register without a stage", "POST /v3/register", {"username": "ep-x", "password": PASSWORD}, who=None)
    p("register", "POST /v3/register", {"username": "ep-x", "password": PASSWORD, "auth": DUMMY}, who=None)
    p("register a taken name", "POST /v3/register", {"username": "ep-alice", "password": PASSWORD}, who=None)
    p("register an invalid name", "POST /v3/register", {"username": "ep x", "password": PASSWORD}, who=None)
    p("register a guest", "POST /v3/register", {}, who=None, kind="guest")
    guest = p.quiet("POST /v3/register", {}, who=None, kind="guest")
    p.tokens["guest"] = guest.get("access_token")
    p("who a guest is", "GET /v3/account/whoami", who="guest")
    p("a guest creates a room", "POST /v3/createRoom", {}, who="guest")
    p("a guest invites", "POST /v3/rooms/!x:example.org/invite", {"user_id": "{bob}"}, who="guest")
    p("a guest changes the password", "POST /v3/account/password", {}, who="guest")
    p("a guest sees devices", "GET /v3/devices", who="guest")
    p.ids["guest"] = guest.get("user_id", "missing")
    p("a guest sets a name", "PUT /v3/profile/{guest}/displayname", {"displayname": "x"}, who="guest")
    p("is a taken name available", "GET /v3/register/available", who=None, username="ep-alice")
    p("is a free name available", "GET /v3/register/available", who=None, username="ep-free")
    user = {"type": "m.id.user", "user": "ep-x"}
    login = {"type": "m.login.password", "identifier": user, "password": PASSWORD}
    p("log in", "POST /v3/login", login, who=None)
    p("log in with a wrong password", "POST /v3/login", {**login, "password": "x"}, who=None)
    p("log in as no one", "POST /v3/login", {**login, "identifier": {**user, "user": "ep-none"}}, who=None)
    p("log in with an unknown type", "POST /v3/login", {"type": "org.example"}, who=None)
    p("log in without a body", "POST /v3/login", who=None)
    p("log in with a list", "POST /v3/login", [], who=None)
    p("log in with a refresh token", "POST /v3/login", {**login, "refresh_token": True}, who=None)
    p.tokens["x"] = p.quiet("POST /v3/login", login, who=None).get("access_token")
    p("who am I", "GET /v3/account/whoami")
    p("who am I, on r0", "GET /r0/account/whoami")
    p("who am I, token in the query", "GET /v3/account/whoami", who=None, access_token=p.tokens["alice"] or "x")
    p("who am I, without a token", "GET /v3/account/whoami", who=None)
    p.tokens["bad"] = "wrong"
    p("who am I, with a wrong token", "GET /v3/account/whoami", who="bad")
    p("change the password without a stage", "POST /v3/account/password", {"new_password": PASSWORD + "2"}, who="x")
    password = {"type": "m.login.password", "identifier": user, "password": PASSWORD}
    changed = {"new_password": PASSWORD + "2", "auth": password, "logout_devices": False}
    p("change the password", "POST /v3/account/password", changed, who="x")
    password["password"] = PASSWORD + "2"
    p("deactivate without a stage", "POST /v3/account/deactivate", {}, who="x")
    p("deactivate", "POST /v3/account/deactivate", {"auth": password}, who="x")
    p("log in when deactivated", "POST /v3/login", {**login, "password": PASSWORD + "2"}, who=None)
    p("log in when deactivated, wrong password", "POST /v3/login", {**login, "password": "x"}, who=None)
    p("an unknown endpoint", "GET /v3/unknown")
    p("a method that is not served", "DELETE /v3/account/whoami")
    p("third-party identifiers", "GET /v3/account/3pid")
    p("a login token", "POST /v1/login/get_token", {})


def devices(p):
    p("devices", "GET /v3/devices")
    p("one device", "GET /v3/devices/{alice_device}")
    p("an unknown device", "GET /v3/devices/UNKNOWN")
    p("name a device", "PUT /v3/devices/{alice_device}", {"display_name": "desk"})
    p.quiet("POST /v3/login", {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "ep-carol"},
        "password": PASSWORD,
        "device_id": "SECOND",
    }, who=None)
    p("delete a device without a stage", "DELETE /v3/devices/SECOND", {}, who="carol")
    auth = {"type": "m.login.password", "password": PASSWORD}
    auth["identifier"] = {"type": "m.id.user", "user": "ep-carol"}
    p("delete a device", "DELETE /v3/devices/SECOND", {"auth": auth}, who="carol")
    p("delete devices", "POST /v3/delete_devices", {"devices": ["OTHER"], "auth": auth}, who="carol")


def profiles(p):
    p("set a display name", "PUT /v3/profile/{alice}/displayname", {"displayname": "Alice"})
    p("set an avatar", "PUT /v3/profile/{alice}/avatar_url", {"avatar_url": "mxc://example.org/a"})
    p("profile", "GET /v3/profile/{alice}", who="bob")
    p("display name", "GET /v3/profile/{alice}/displayname", who="bob")
    p("avatar", "GET /v3/profile/{alice}/avatar_url", who=None)
    p("profile of no one", "GET /v3/profile/@ep-none:{domain}")
    p("set the name of another", "PUT /v3/profile/{bob}/displayname", {"displayname": "x"})
    p("set a name of a wrong type", "PUT /v3/profile/{alice}/displayname", {"displayname": 7})
    p("set another field", "PUT /v3/profile/{alice}/org.example.field", {"org.example.field": [1]})
    p("another field", "GET /v3/profile/{alice}/org.example.field")
    p("delete another field", "DELETE /v3/profile/{alice}/org.example.field")
    p("a field that is not set", "GET /v3/profile/{alice}/org.example.field2")


def media(p):
    uploaded = p("upload", "POST /_matrix/media/v3/upload", raw=b"hello", filename="hello.txt")
    p.ids["media"] = uploaded.get("content_uri", "mxc://x/missing").rsplit("/", 1)[-1]
    p("download", "GET /v1/media/download/{domain}/{media}")
    p("download without a token", "GET /v1/media/download/{domain}/{media}", who=None)
    p("download what does not exist", "GET /v1/media/download/{domain}/missing")
    p("media configuration", "GET /v1/media/config")
    created = p("create media", "POST /_matrix/media/v1/create", raw=b"")
    p.ids["created"] = created.get("content_uri", "mxc://x/missing").rsplit("/", 1)[-1]
    p("download what is not uploaded yet", "GET /v1/media/download/{domain}/{created}", timeout_ms="0")
    p("upload later", "PUT /_matrix/media/v3/upload/{domain}/{created}", raw=b"late")
    p("upload later, twice", "PUT /_matrix/media/v3/upload/{domain}/{created}", raw=b"again")


def application_services(p):
    p.tokens["service"] = SERVICE.get("as_token")
    p.ids["ghost"] = f"@{SERVICE.get('prefix')}endpoint:{p.ids['domain']}"
    p.ids["service"] = SERVICE.get("id")
    name = p.ids["ghost"][1:].split(":")[0]
    kind = "m.login.application_service"
    p("a service registers a user", "POST /v3/register", {"type": kind, "username": name}, who="service")
    p("a service registers another's user", "POST /v3/register", {"type": kind, "username": "ep-z"}, who="service")
    p("register a name of a service", "POST /v3/register", {"username": name + "2", "password": PASSWORD}, who=None)
    p("a service acts as its user", "GET /v3/account/whoami", who="service", user_id="{ghost}")
    p("a service acts as another's user", "GET /v3/account/whoami", who="service", user_id="{alice}")
    p("a service acts as a user that is missing", "GET /v3/account/whoami", who="service",
      user_id="@" + name + "9:{domain}")
    p("a service acts with an unknown device", "GET /v3/account/whoami", who="service",
      user_id="{ghost}", device_id="UNKNOWN")
    identifier = {"type": "m.id.user", "user": name}
    p("a service logs in as its user", "POST /v3/login", {"type": kind, "identifier": identifier}, who="service")
    p("ping a service that is not there", "POST /v1/appservice/{service}/ping", {"transaction_id": "1"}, who="service")
    p("ping the service of another", "POST /v1/appservice/other/ping", {}, who="service")
    p("ping as a user", "POST /v1/appservice/{service}/ping", {})
    p("protocols", "GET /v3/thirdparty/protocols")


def not_served(p):
    p("search", "POST /v3/search", {"search_categories": {"room_events": {"search_term": "hello"}}})
    p("user directory", "POST /v3/user_directory/search", {"search_term": "alice"})
    p("URL preview", "GET /v1/media/preview_url", url="http://127.0.0.1:1/")
    p("thumbnail", "GET /v1/media/thumbnail/{domain}/{media}", width="32", height="32")
    p("pushers", "GET /v3/pushers")
    p("notifications", "GET /v3/notifications")
    p("sliding sync", "POST /unstable/org.matrix.simplified_msc3575/sync", {})
    p("dehydrated device", "GET /unstable/org.matrix.msc3814.v1/dehydrated_device")
    p("events stream", "GET /v3/events", timeout="0")
    p("initial sync of r0", "GET /r0/initialSync", limit="1")
