"""An OpenID provider that accepts any name without a password."""

import base64
import hashlib
import hmac
import secrets
import time
from functools import cache
from html import escape
from urllib.parse import urlencode

from . import web

CODE_SECONDS = 60
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sign in</title>
<style>body {{ font: 1.1rem sans-serif; max-width: 24rem; margin: 3rem auto }}
input, button {{ font: inherit; padding: .4rem }}</style>
<h1>Sign in</h1>
<form>
{hidden}
<p><label for="user">Who are you?</label> <input id="user" name="user" autofocus>
<p><button>Sign in</button> <button name="refuse" value="yes">Refuse</button>
</form>
"""


def routes(settings):
    issuer = settings["issuer"]
    # The grants, by code.
    grants = {}

    def metadata(_):
        return web.as_json({
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "scopes_supported": ["openid", "profile"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
        })

    def jwks(_):
        return web.as_json({"keys": [signing_key().as_dict(is_private=False)]})

    def authorize(request):
        asked = request.text
        # Redirect only to the registered client.
        if asked("client_id") != settings["client_id"] or (
            asked("redirect_uri") != settings["redirect_uri"]
        ):
            return web.page("<!doctype html><title>Error</title><p>Unknown client.", 400)
        if asked("refuse"):
            return back({"error": "access_denied"}, asked("state"))
        if asked("response_type") != "code" or asked("code_challenge_method") != "S256":
            return back({"error": "invalid_request"}, asked("state"))
        user = asked("user").strip()
        if not user:
            hidden = "\n".join(
                f'<input type="hidden" name="{escape(name)}" value="{escape(str(value))}">'
                for name, value in request.fields.items()
                if name != "user"
            )
            return web.page(PAGE.format(hidden=hidden))
        code = secrets.token_urlsafe(16)
        grants[code] = {
            "user": user,
            "nonce": asked("nonce"),
            "challenge": asked("code_challenge"),
            "until": time.time() + CODE_SECONDS,
        }
        return back({"code": code}, asked("state"))

    def back(answer, state):
        return web.redirect(settings["redirect_uri"] + "?" + urlencode(answer | {"state": state}))

    def token(request):
        known = base64.b64encode(f"{settings['client_id']}:{settings['client_secret']}".encode())
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), b"Basic " + known):
            return web.as_json({"error": "invalid_client"}, 401)
        if request.text("grant_type") != "authorization_code":
            return web.as_json({"error": "unsupported_grant_type"}, 400)
        # A code is valid once.
        grant = grants.pop(request.text("code"), None)
        verifier = hashlib.sha256(request.text("code_verifier").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        if (
            grant is None
            or grant["until"] < time.time()
            or grant["challenge"] != challenge
            or request.text("redirect_uri") != settings["redirect_uri"]
        ):
            return web.as_json({"error": "invalid_grant"}, 400)
        return web.as_json({
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "expires_in": CODE_SECONDS,
            "id_token": id_token(grant),
        })

    def id_token(grant):
        now = int(time.time())
        return sign({
            "iss": issuer,
            "aud": settings["client_id"],
            "sub": grant["user"],
            "preferred_username": grant["user"],
            "name": grant["user"].title(),
            "nonce": grant["nonce"],
            "iat": now,
            "exp": now + CODE_SECONDS,
        })

    return {
        ("GET", "/.well-known/openid-configuration"): metadata,
        ("GET", "/jwks"): jwks,
        ("GET", "/authorize"): authorize,
        ("POST", "/token"): token,
    }


# Synapse has this library only for OpenID; other profiles need not load it.


@cache
def signing_key():
    from authlib.jose import JsonWebKey

    return JsonWebKey.generate_key("RSA", 2048, {"use": "sig", "alg": "RS256"}, is_private=True)


def sign(claims):
    from authlib.jose import JsonWebToken

    key = signing_key()
    header = {"alg": "RS256", "kid": key.thumbprint()}
    return JsonWebToken(["RS256"]).encode(header, claims, key).decode()
