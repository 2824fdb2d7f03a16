"""Applies Synapse's own rules to the cases in a file, one JSON object per line, and prints the results likewise."""

import hashlib
import json
import sys

from synapse import event_auth
from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import compute_content_hash
from synapse.events import make_event_from_dict
from synapse.events.utils import prune_event
from synapse.push.bulk_push_rule_evaluator import _flatten_dict
from synapse.synapse_rust.push import PushRuleEvaluator
from unpaddedbase64 import encode_base64


def redact(event):
    redacted = prune_event(event).get_dict()
    _, content_hash = compute_content_hash(event.get_pdu_json(), hashlib.sha256)
    return {
        "redacted": redacted,
        "event_id": event.event_id,
        "content_hash": encode_base64(content_hash),
    }


def authorize(event, state, version):
    try:
        event = make_event_from_dict(event, version)
        if event.type == "m.room.create":
            event_auth._check_create(event)
        else:
            state = [make_event_from_dict(it, version) for it in state]
            event_auth.check_state_dependent_auth_rules(event, state)
    except SynapseError as error:
        return {"allowed": False, "reason": str(error)}
    except Exception as error:
        # Synapse does not expect such an event, and does not accept it either.
        return {"allowed": False, "reason": f"{type(error).__name__}: {error}"}
    return {"allowed": True}


def condition_holds(case):
    evaluator = PushRuleEvaluator(
        flattened_keys=_flatten_dict(case["event"]),
        has_mentions=False,
        room_member_count=case["member_count"],
        sender_power_level=case["sender_level"],
        notification_power_levels=case["notifications"],
        related_events_flattened={},
        related_event_match_enabled=False,
        room_version_feature_flags=[],
        msc3931_enabled=False,
        msc4210_enabled=True,
        msc4306_enabled=False,
    )
    return evaluator.matches(case["condition"], "@bob:example.org", case["display_name"])


for line in open(sys.argv[1], encoding="utf-8"):
    case = json.loads(line)
    version = KNOWN_ROOM_VERSIONS[case.get("version", "12")]
    if "condition" in case:
        result = condition_holds(case)
    elif "state" in case:
        result = authorize(case["event"], case["state"], version)
    else:
        result = redact(make_event_from_dict(case["event"], version))
    print(json.dumps(result))
