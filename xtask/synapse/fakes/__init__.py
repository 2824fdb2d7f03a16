"""What stands around a server, in its own process: a mail server that keeps what it is sent, an
identity server for phone numbers, a verifier of captchas, an OpenID provider. Beside it, in a process
that ends with this one: an authorization server.

Each listens on the port of 127.0.0.1 that RUN_DIR/fakes.json gives it, and ends with the process.
A settings file without one of them leaves that one out.
"""

import json
from pathlib import Path

from . import captcha, mail, oauth, openid, phone, web

ROUTES = {"phone": phone.routes, "captcha": captcha.routes, "openid": openid.routes}


def start(run_dir):
    settings = json.loads((run_dir / "fakes.json").read_text())
    if "mail" in settings:
        mail.serve(settings["mail"]["port"], Path(settings["mail"]["messages"]))
    if "oauth" in settings:
        oauth.start(settings["oauth"])
    if "web" in settings:
        routes = {}
        for name, make in ROUTES.items():
            if name in settings["web"]:
                routes |= make(settings["web"][name])
        web.serve(settings["web"]["port"], routes)
