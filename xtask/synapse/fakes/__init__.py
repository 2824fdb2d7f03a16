"""Fake services in the process of the server: a mail server that stores mails, an identity server for
phone numbers, a captcha verifier, an OpenID provider. In a child process: an authorization server.

Each listens on a port of 127.0.0.1 from RUN_DIR/fakes.json, and ends with the process. Services that
are missing in that file are not started.
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
