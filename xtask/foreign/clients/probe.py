"""Sends single requests, and prints for each its name and what came of it: the status, the code of an error, and
the shape of the answer, which is the paths of its JSON with their types. Ids in paths are masked."""

import http.client
import json
import re
import sys
from urllib.parse import quote, urlencode, urlsplit

from steps import PASSWORD, URL

# Answers of Synapse that are not part of the specification.
UNSTABLE = re.compile(r"^(org\.matrix\.|io\.element\.|uk\.|im\.|com\.|fi\.|de\.)")
MASKS = [
    (re.compile(r"^!"), "{room}"),
    (re.compile(r"^@"), "{user}"),
    (re.compile(r"^\$"), "{event}"),
    (re.compile(r"^#"), "{alias}"),
    (re.compile(r"^(ed25519|curve25519|signed_curve25519):.*"), r"\1:{id}"),
    (re.compile(r"^[A-Z]{10}$"), "{device}"),
    (re.compile(r"^[A-Za-z0-9+/]{43}$"), "{key}"),
]
# Synapse repeats parts of `unsigned` in the events of some answers, as servers did before r0.
REPEATED = {"age", "user_id", "replaces_state", "prev_content", "redacted_because"}


class Probe:
    """One connection to a server, and the ids that its answers contained."""

    def __init__(self):
        self.address = urlsplit(URL)
        self.connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=20)
        self.ids = {}
        self.tokens = {None: None}
        self.names = set()

    def __call__(self, name, request, body=None, who="alice", keep=None, show=True, raw=None, **query):
        """Sends a request like `GET /v3/rooms/{room}/state`, with the known ids in place of the braces.

        `who` is the user whose token is sent. `keep` maps names of ids to keys of the answer. Without `show`,
        the request only prepares another one.
        """
        method, template = request.split(" ", 1)
        path = re.sub(r"{(\w+)}", lambda found: quote(str(self.ids.get(found[1], "missing")), safe=""), template)
        if not path.startswith("/_"):
            path = f"/_matrix/client{path}"
        asked = template + (f"?{'&'.join(query)}" if query else "")
        if query:
            path += "?" + urlencode({key: self.fill(value) for key, value in query.items()})
        status, answer = self.send(method, path, self.fill(body), self.tokens.get(who), raw)
        for id_name, key in (keep or {}).items():
            if isinstance(answer, dict) and key in answer:
                self.ids[id_name] = answer[key]
        if show:
            self.report(name, f"{method} {asked}", status, answer)
        return answer if isinstance(answer, dict) else {}

    def quiet(self, request, body=None, **options):
        return self("", request, body, show=False, **options)

    def fill(self, value):
        """Replaces `{name}` by the id of this name, in all strings and keys."""
        if isinstance(value, str):
            return re.sub(r"{(\w+)}", lambda found: str(self.ids.get(found[1], "missing")), value)
        if isinstance(value, dict):
            return {self.fill(key): self.fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner) for inner in value]
        return value

    def send(self, method, path, body, token, raw):
        headers = {}
        data = raw
        if body is not None:
            data = json.dumps(body)
        if isinstance(data, str):
            data = data.encode()
            headers["content-type"] = "application/json"
        elif data is not None:
            headers["content-type"] = "text/plain"
        if token:
            headers["authorization"] = f"Bearer {token}"
        try:
            self.connection.request(method, path, data, headers)
            response = self.connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            print(f"{method} {path}: {error!r}", file=sys.stderr)
            self.connection.close()
            return f"no answer: {type(error).__name__}", None
        print(f"{method} {path} {(data or b'')[:400]!r}\n    {response.status} {text[:1500]!r}", file=sys.stderr)
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text.decode(errors="replace")

    def report(self, name, request, status, answer):
        if name in self.names:
            raise AssertionError(f"two requests have the name {name}")
        self.names.add(name)
        shape = {}
        if isinstance(answer, dict) and "errcode" in answer:
            status = f"{status} {answer['errcode']}"
            answer = {key: value for key, value in answer.items() if key not in ("errcode", "error")}
            if answer:
                add_shape(answer, "", shape)
        elif isinstance(answer, str):
            shape["."] = "text" if answer else "nothing"
        else:
            add_shape(answer, "", shape)
        kinds = {path: " | ".join(sorted(kinds)) for path, kinds in shape.items() if isinstance(kinds, set)}
        kinds = kinds or {path: kind for path, kind in shape.items()}
        outcome = {"request": request, "status": str(status), "shape": kinds}
        print(f"{name}\t{json.dumps(outcome)}", flush=True)

    def register(self, name):
        """Registers a user `ep-NAME`, and keeps its id, device and token."""
        auth = {"type": "m.login.dummy"}
        body = {"username": f"ep-{name}", "password": PASSWORD, "auth": auth}
        answer = self.quiet("POST /v3/register", body, who=None)
        self.ids[name] = answer.get("user_id", "missing")
        self.ids[f"{name}_device"] = answer.get("device_id", "missing")
        self.tokens[name] = answer.get("access_token")
        self.ids["domain"] = self.ids[name].split(":", 1)[-1]

    def room(self, id_name, who="alice", **body):
        """Creates a room, and keeps its id under this name."""
        self.ids[id_name] = "!missing:missing"
        self.quiet("POST /v3/createRoom", body, who=who, keep={id_name: "room_id"})

    def message(self, id_name, room, body="hello", who="alice", **content):
        """Sends a message, and keeps its id under this name."""
        self.ids[id_name] = "$missing"
        content = {"msgtype": "m.text", "body": body, **content}
        path = f"PUT /v3/rooms/{{{room}}}/send/m.room.message/{id_name}"
        self.quiet(path, content, who=who, keep={id_name: "event_id"})


def add_shape(value, path, shape):
    """Adds the paths of a value and their types. Containers are listed only where they are empty."""
    if isinstance(value, dict) and value:
        is_event = "type" in value and "content" in value
        for key, inner in value.items():
            if UNSTABLE.match(key) or is_event and key in REPEATED:
                continue
            inner_path = f"{path}/{mask(key)}" if path else mask(key)
            if key in ("content", "prev_content") and (is_event or path.endswith("unsigned")):
                # What is in events is chosen by clients.
                shape.setdefault(inner_path, set()).add(kind(inner))
            else:
                add_shape(inner, inner_path, shape)
    elif isinstance(value, list) and value:
        for inner in value:
            add_shape(inner, f"{path}[]", shape)
    else:
        shape.setdefault(path or ".", set()).add(kind(value))


def mask(key):
    for pattern, replacement in MASKS:
        if pattern.search(key):
            return pattern.sub(replacement, key) if "\\1" in replacement else replacement
    return key


def kind(value):
    names = {dict: "{}", list: "[]", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")
