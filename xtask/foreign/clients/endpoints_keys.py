"""Keys, cross-signing, key backup, to-device messages."""

import base64
import json

from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from steps import PASSWORD


def encode(data):
    return base64.b64encode(data).decode().rstrip("=")


def key_of(letter):
    """The Ed25519 key of this seed."""
    return ECC.construct(curve="Ed25519", seed=(letter * 32).encode())


def public(letter):
    return encode(key_of(letter).public_key().export_key(format="raw"))


def sign(p, value, user, key_id, letter):
    """Adds the signature of a user's key to an object, whose ids are filled in first."""
    value = p.fill(value)
    signed = {key: inner for key, inner in value.items() if key not in ("signatures", "unsigned")}
    text = json.dumps(signed, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    signature = encode(eddsa.new(key_of(letter), "rfc8032").sign(text.encode()))
    signatures = value.setdefault("signatures", {}).setdefault(p.ids[user], {})
    signatures[p.fill(key_id)] = signature
    return value


def run(p):
    p.room("secret", preset="public_chat")
    p.quiet("POST /v3/join/{secret}", {}, who="bob")
    device_keys(p)
    one_time_keys(p)
    cross_signing(p)
    backup(p)
    to_device(p)


def keys_of(p, user, device):
    keys = {
        "user_id": f"{{{user}}}",
        "device_id": device,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {f"ed25519:{device}": public("e"), f"curve25519:{device}": public("c")},
    }
    return sign(p, keys, user, f"ed25519:{device}", "e")


def device_keys(p):
    upload = "POST /v3/keys/upload"
    p("upload no keys", upload, {}, who="bob")
    p("upload keys", upload, {"device_keys": keys_of(p, "bob", "{bob_device}")}, who="bob")
    p("upload the same keys", upload, {"device_keys": keys_of(p, "bob", "{bob_device}")}, who="bob")
    p("upload keys of another device", upload, {"device_keys": keys_of(p, "bob", "OTHER")}, who="bob")
    p("upload keys of another user", upload, {"device_keys": keys_of(p, "alice", "{bob_device}")}, who="bob")
    p("upload keys without a body", upload, who="bob")
    p("upload keys of a wrong type", upload, {"device_keys": "x"}, who="bob")
    p("query keys", "POST /v3/keys/query", {"device_keys": {"{bob}": []}})
    p("query keys of one device", "POST /v3/keys/query", {"device_keys": {"{bob}": ["{bob_device}"]}})
    p("query keys of no one", "POST /v3/keys/query", {"device_keys": {"@ep-none:{domain}": []}})
    p("query keys of a wrong type", "POST /v3/keys/query", {"device_keys": {"{bob}": "x"}})
    p("query no keys", "POST /v3/keys/query", {"device_keys": {}})
    since = p.quiet("GET /v3/sync", filter='{"room":{"timeline":{"limit":1}}}', timeout="0")
    p.ids["since"] = since.get("next_batch", "missing")
    p.register("dora")
    p.quiet("POST /v3/join/{secret}", {}, who="dora")
    after = p.quiet("GET /v3/sync", filter='{"room":{"timeline":{"limit":1}}}', timeout="0")
    p("changes of keys", "GET /v3/keys/changes", **{"from": "{since}", "to": after.get("next_batch", "missing")})
    p("changes of keys from a wrong token", "GET /v3/keys/changes", **{"from": "wrong", "to": "{since}"})
    p("changes of keys without tokens", "GET /v3/keys/changes")


def one_time_keys(p):
    upload = "POST /v3/keys/upload"

    def key(letter, **more):
        return {"key": public(letter), "signatures": {"{bob}": {"ed25519:{bob_device}": "c2lnbmVk"}}, **more}

    keys = {"signed_curve25519:AAAA": key("a"), "signed_curve25519:AAAB": key("b")}
    p("upload one-time keys", upload, {"one_time_keys": keys}, who="bob")
    p("upload the same one-time keys", upload, {"one_time_keys": keys}, who="bob")
    p("upload another key of the same id", upload, {"one_time_keys": {"signed_curve25519:AAAA": key("z")}}, who="bob")
    p("upload a fallback key", upload, {"fallback_keys": {"signed_curve25519:F": key("f", fallback=True)}}, who="bob")
    claim = {"one_time_keys": {"{bob}": {"{bob_device}": "signed_curve25519"}}}
    for name in ("first one-time key", "second one-time key", "fallback key", "fallback key again"):
        p(f"claim: {name}", "POST /v3/keys/claim", claim)
    p("claim from no device", "POST /v3/keys/claim", {"one_time_keys": {"{bob}": {"NONE": "signed_curve25519"}}})
    p("claim an unknown algorithm", "POST /v3/keys/claim", {"one_time_keys": {"{bob}": {"{bob_device}": "x"}}})
    p("counts after the claims", upload, {}, who="bob")


def cross_signing(p):
    upload = "POST /v3/keys/device_signing/upload"

    def key(usage, letter, user="alice"):
        return {"user_id": f"{{{user}}}", "usage": [usage], "keys": {f"ed25519:{public(letter)}": public(letter)}}

    def signed(usage, letter, master="m"):
        return sign(p, key(usage, letter), "alice", f"ed25519:{public(master)}", master)

    bad = signed("self_signing", "s")
    bad["signatures"][p.ids["alice"]][f"ed25519:{public('m')}"] = encode(b"x" * 64)
    p("upload no cross-signing keys", upload, {})
    p("upload a self-signing key alone", upload, {"self_signing_key": signed("self_signing", "s")})
    p("upload a master key of another", upload, {"master_key": key("master", "m", "bob")})
    p("upload a master key of a wrong usage", upload, {"master_key": key("self_signing", "m")})
    p("upload a badly signed self-signing key", upload, {"master_key": key("master", "m"), "self_signing_key": bad})
    keys = {
        "master_key": key("master", "m"),
        "self_signing_key": signed("self_signing", "s"),
        "user_signing_key": signed("user_signing", "u"),
    }
    p("upload cross-signing keys", upload, keys)
    p("upload the same cross-signing keys", upload, keys)
    p("upload the same master key", upload, {"master_key": key("master", "m")})
    replaced = {"master_key": key("master", "n")}
    p("replace the master key without a stage", upload, replaced)
    auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "ep-alice"}, "password": PASSWORD}
    p("replace the master key with a wrong password", upload, {**replaced, "auth": {**auth, "password": "x"}})
    p("query cross-signing keys", "POST /v3/keys/query", {"device_keys": {"{alice}": []}})
    p("query cross-signing keys of another", "POST /v3/keys/query", {"device_keys": {"{alice}": []}}, who="bob")
    signatures = "POST /v3/keys/signatures/upload"
    p.quiet("POST /v3/keys/upload", {"device_keys": keys_of(p, "alice", "{alice_device}")})
    device = sign(p, keys_of(p, "alice", "{alice_device}"), "alice", f"ed25519:{public('s')}", "s")
    p("upload no signatures", signatures, {})
    p("sign one's own device", signatures, {"{alice}": {"{alice_device}": device}})
    unknown = {"{alice}": {"NONE": device}, "{bob}": {"{bob_device}": keys_of(p, "bob", "{bob_device}")}}
    p("sign what is not there", signatures, unknown)
    p("query a signed device", "POST /v3/keys/query", {"device_keys": {"{alice}": []}}, who="bob")
    p("replace the master key", upload, {**replaced, "auth": auth})


def backup(p):
    versions = "/v3/room_keys/version"
    data = {"public_key": public("p"), "signatures": {}}
    algorithm = "m.megolm_backup.v1.curve25519-aes-sha2"
    p("no backup", f"GET {versions}")
    p("make a backup", f"POST {versions}", {"algorithm": algorithm, "auth_data": data}, keep={"old_backup": "version"})
    p("make a newer backup", f"POST {versions}", {"algorithm": algorithm, "auth_data": data}, keep={"backup": "version"})
    p("make a backup without data", f"POST {versions}", {"algorithm": algorithm})
    p("the backup", f"GET {versions}")
    p("the old backup", f"GET {versions}/{{old_backup}}")
    p("a backup that is not there", f"GET {versions}/99")
    p("change the backup", f"PUT {versions}/{{backup}}",
      {"algorithm": algorithm, "auth_data": {**data, "signatures": {"{alice}": {"ed25519:x": "x"}}}})
    p("change the algorithm of the backup", f"PUT {versions}/{{backup}}", {"algorithm": "x", "auth_data": data})
    p("change the version of the backup", f"PUT {versions}/{{backup}}",
      {"algorithm": algorithm, "auth_data": data, "version": "99"})

    def session(index, **more):
        return {"first_message_index": index, "forwarded_count": 0, "is_verified": False, "session_data": {"x": "y"}, **more}

    keys = "/v3/room_keys/keys"
    v = {"version": "{backup}"}
    p("store a key", f"PUT {keys}/{{secret}}/session1", session(5), **v)
    p("store a worse key", f"PUT {keys}/{{secret}}/session1", session(9), **v)
    p("store a better key", f"PUT {keys}/{{secret}}/session1", session(1, is_verified=True), **v)
    p("store keys of a room", f"PUT {keys}/{{secret}}", {"sessions": {"session2": session(0)}}, **v)
    p("store keys", f"PUT {keys}", {"rooms": {"{secret}": {"sessions": {"session3": session(0)}}}}, **v)
    p("store a key in an old backup", f"PUT {keys}/{{secret}}/session1", session(5), version="{old_backup}")
    p("store a key without a version", f"PUT {keys}/{{secret}}/session1", session(5))
    p("store an incomplete key", f"PUT {keys}/{{secret}}/session4", {"session_data": {}}, **v)
    p("a key", f"GET {keys}/{{secret}}/session1", **v)
    p("a key that is not there", f"GET {keys}/{{secret}}/none", **v)
    p("keys of a room", f"GET {keys}/{{secret}}", **v)
    p("keys of a room that has none", f"GET {keys}/!none:{{domain}}", **v)
    p("all keys", f"GET {keys}", **v)
    p("all keys of a backup that is not there", f"GET {keys}", version="99")
    p("all keys without a version", f"GET {keys}")
    p("delete a key", f"DELETE {keys}/{{secret}}/session1", **v)
    p("delete keys of a room", f"DELETE {keys}/{{secret}}", **v)
    p("delete all keys", f"DELETE {keys}", **v)
    p("delete a backup", f"DELETE {versions}/{{backup}}")
    p("delete a backup again", f"DELETE {versions}/{{backup}}")
    p("delete a backup that is not there", f"DELETE {versions}/99")
    p("the backup after a deletion", f"GET {versions}")


def to_device(p):
    send = "PUT /v3/sendToDevice/org.example.ping"
    p("send to a device", f"{send}/d1", {"messages": {"{bob}": {"{bob_device}": {"number": 1}}}})
    p("send to all devices", f"{send}/d2", {"messages": {"{bob}": {"*": {"number": 2}}}})
    p("send to no device", f"{send}/d3", {"messages": {"{bob}": {"NONE": {"number": 3}}}})
    p("send to no one", f"{send}/d4", {"messages": {"@ep-none:{domain}": {"*": {}}}})
    p("send no messages", f"{send}/d5", {})
    p("send messages of a wrong type", f"{send}/d6", {"messages": []})
    found = p.quiet("GET /v3/sync", timeout="0", filter='{"room":{"rooms":[]}}', who="bob")
    p.ids["bob_since"] = found.get("next_batch", "missing")
    p.quiet(f"{send}/d7", {"messages": {"{bob}": {"*": {"number": 7}}}})
