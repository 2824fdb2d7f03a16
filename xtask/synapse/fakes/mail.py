"""A mail server that stores each mail as a JSON file and delivers none."""

import itertools
import json
import re
import socketserver
from email import message_from_bytes, policy

from . import web

LINK = re.compile(r"https?://[^\s<>\"]+")


def serve(port, messages):
    """Writes 0001.json, 0002.json ... below `messages`: {from, to, subject, text, html, links}."""
    messages.mkdir(parents=True, exist_ok=True)
    numbers = itertools.count(1)

    class Session(socketserver.StreamRequestHandler):
        timeout = 30

        def handle(self):
            self.say("220 mail of a test server")
            sender, recipients = "", []
            while line := self.rfile.readline():
                words = line.decode(errors="replace").strip()
                verb = words.upper()
                if verb.startswith(("EHLO", "HELO")):
                    self.say("250 hello")
                elif verb.startswith("MAIL FROM:"):
                    sender, recipients = address(words), []
                    self.say("250 noted")
                elif verb.startswith("RCPT TO:"):
                    recipients.append(address(words))
                    self.say("250 noted")
                elif verb == "DATA":
                    self.say("354 go on, and end with a dot")
                    keep(sender, recipients, self.data())
                    self.say("250 kept")
                elif verb in ("RSET", "NOOP"):
                    self.say("250 fine")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("502 not known here")

        def say(self, line):
            self.wfile.write(f"{line}\r\n".encode())

        def data(self):
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                # Undo dot stuffing (RFC 5321, section 4.5.2).
                lines.append(line[1:] if line.startswith(b".") else line)
            return b"".join(lines)

    def keep(sender, recipients, data):
        mail = message_from_bytes(data, policy=policy.default)
        text, html = part(mail, "plain"), part(mail, "html")
        kept = {
            "from": sender,
            "to": recipients,
            "subject": str(mail["subject"] or ""),
            "text": text,
            "html": html,
            "links": LINK.findall(text),
        }
        # Renamed, so that `messages` contains only complete mails.
        name = f"{next(numbers):04}.json"
        new = messages.parent / f"new-mail-{name}"
        new.write_text(json.dumps(kept, indent=1))
        new.rename(messages / name)

    web.start(port, Session)


def address(words):
    return words.partition(":")[2].partition("<")[2].partition(">")[0]


def part(mail, kind):
    body = mail.get_body(preferencelist=(kind,))
    return body.get_content() if body else ""
