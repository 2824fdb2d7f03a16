"""A minimal HTTP server for the fakes: routes, forms and JSON."""

import json
import socketserver
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    """`fields` are those of the query and of the body (a form or JSON)."""

    fields: dict
    headers: dict

    def text(self, name):
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""


@dataclass
class Reply:
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    location: str = ""


def as_json(value, status=200):
    return Reply(status, json.dumps(value).encode())


def page(html, status=200):
    return Reply(status, html.encode(), "text/html; charset=utf-8")


def redirect(location):
    return Reply(303, location=location)


def serve(port, routes):
    """Starts a server in a thread. `routes` maps method and path to a function of the request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # An idle connection must not occupy a thread forever.
        timeout = 30

        def answer(self):
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            route = routes.get((self.command, url.path))
            if route is None:
                reply = as_json({"errcode": "M_UNRECOGNIZED", "error": "no such page"}, 404)
            else:
                fields = dict(parse_qsl(url.query)) | self.fields_of(body)
                reply = route(Request(fields, self.headers))
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            if reply.location:
                self.send_header("Location", reply.location)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = answer

        def fields_of(self, body):
            if "json" not in self.headers.get("Content-Type", ""):
                return dict(parse_qsl(body.decode(errors="replace")))
            try:
                value = json.loads(body)
            except ValueError:
                return {}
            return value if isinstance(value, dict) else {}

        def log_message(self, form, *args):
            print(f"fakes: {form % args}", flush=True)

    start(port, Handler)


def start(port, handler):
    """A thread that accepts connections, and one thread per connection."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
