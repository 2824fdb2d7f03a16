"""The captcha verifier: exactly one response is valid."""

from . import web


def routes(settings):
    def verify(request):
        problems = []
        if request.text("secret") != settings["secret"]:
            problems.append("invalid-input-secret")
        if request.text("response") != settings["good_response"]:
            problems.append("invalid-input-response")
        return web.as_json({"success": not problems, "error-codes": problems})

    return {("POST", "/siteverify"): verify}
