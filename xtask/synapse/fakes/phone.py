"""An identity server that sends no text messages: the code is always the same."""

import secrets
import threading
import time

import phonenumbers

from . import web

V1 = "/_matrix/identity/api/v1"


def routes(settings):
    lock = threading.Lock()
    # Sessions by id: Synapse validates a number in several requests.
    sessions = {}

    def ask(request):
        number = msisdn(request.text("country"), request.text("phone_number"))
        client_secret = request.text("client_secret")
        if not number or not client_secret:
            return error(400, "M_INVALID_PARAM", "a number, its country and a secret are needed")
        with lock:
            for sid, session in sessions.items():
                if (session["secret"], session["msisdn"]) == (client_secret, number):
                    return web.as_json({"sid": sid})
            sid = secrets.token_hex(8)
            sessions[sid] = {"secret": client_secret, "msisdn": number, "validated_at": None}
        return web.as_json({"sid": sid})

    def submit(request):
        session = of(request)
        good = session is not None and request.text("token") == settings["code"]
        if good:
            session["validated_at"] = int(time.time() * 1000)
        return web.as_json({"success": good})

    def validated(request):
        session = of(request)
        if session is None:
            return error(404, "M_NO_VALID_SESSION", "there is no such session")
        if session["validated_at"] is None:
            return error(400, "M_SESSION_NOT_VALIDATED", "the code has not come yet")
        return web.as_json({
            "medium": "msisdn",
            "address": session["msisdn"],
            "validated_at": session["validated_at"],
        })

    def of(request):
        session = sessions.get(request.text("sid"))
        if session is None or session["secret"] != request.text("client_secret"):
            return None
        return session

    return {
        ("POST", f"{V1}/validate/msisdn/requestToken"): ask,
        ("POST", f"{V1}/validate/msisdn/submitToken"): submit,
        ("GET", f"{V1}/3pid/getValidated3pid"): validated,
    }


def msisdn(country, number):
    """The number in international format without plus, or an empty string if it is invalid."""
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return ""
    form = phonenumbers.PhoneNumberFormat.E164
    return phonenumbers.format_number(parsed, form).removeprefix("+")


def error(status, code, text):
    return web.as_json({"errcode": code, "error": text}, status)
