"""What schemathesis needs to know of a running server: things that exist, and what not to cut off.

A generated id names nothing, so that most operations could never succeed. Where a case is meant to be good, ids in its
path and its body are mostly replaced by those of things that exist; for what is used up (a token that is revoked, a
group that is removed) a new one is made each time. What would end the run itself, such as a lock on managing, is left
out. Cases that are meant to be bad are sent as they are.
"""

import itertools
import json
import os

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

API = os.environ["CACHEGATE_API"]
USER = os.environ["CACHEGATE_USER"]
SEEN = open(os.environ["CACHEGATE_SEEN"], "w", buffering=1)

administrator = requests.Session()
administrator.headers["Authorization"] = "Bearer " + os.environ["CACHEGATE_ADMINISTRATOR"]
tester = requests.Session()
tester.headers["Authorization"] = "Bearer " + os.environ["CACHEGATE_TOKEN"]


def ask(session, method, path, body=None):
    response = session.request(method, API + path, json=body)
    assert response.ok, f"{method} {path}: {response.status_code} {response.text}"
    return response.json() if response.content else None


def first(page):
    return page["items"][0]["id"]


ORGANIZATION = first(ask(administrator, "GET", "/organizations"))
PLACE = f"/organizations/{ORGANIZATION}"
WORKSPACE = first(ask(administrator, "GET", f"{PLACE}/workspaces"))
OWNER = ask(administrator, "GET", "/whoami")["person"]["id"]
WORKSPACE_SCOPE = {"type": "workspace", "workspace": WORKSPACE}
WINDOW = {"type": "window", "workspace": WORKSPACE, "from": 1, "to": 2}
names = itertools.count()


def ci_token():
    made = {"kind": "ci", "workspace": WORKSPACE, "level": "read-only"}
    return ask(administrator, "POST", "/tokens", made)["record"]["id"]


def own_token():
    """A token that whoever is tested manages, where they manage any."""
    response = tester.post(f"{API}/tokens", json={"kind": "personal", "actions": ["read"]})
    return response.json()["record"]["id"] if response.status_code == 201 else ci_token()


def group():
    made = {"name": f"made-{next(names)}", "members": [USER]}
    return ask(administrator, "POST", f"{PLACE}/groups", made)["id"]


def lock():
    made = {"scope": WORKSPACE_SCOPE, "actions": ["delete"], "for": 60}
    return ask(administrator, "POST", "/locks", made)["id"]


def mark():
    return ask(administrator, "POST", "/distrust", {"scope": WINDOW})["id"]


def member():
    ask(administrator, "PUT", f"{PLACE}/members/{USER}", {"role": "member"})
    return USER


def decision():
    """Something that was refused: to whoever is tested, or, where nothing is refused to them, to another."""
    for action in ("publish", "replace", "administer"):
        asked = {"action": action, "workspace": WORKSPACE}
        told = tester.post(f"{API}/explain", json=asked)
        if told.ok and told.json()["decision"] == "deny":
            return told.json()["id"]
    raise AssertionError("nothing was refused")


KNOWN = {
    "organization": ORGANIZATION,
    "workspace": WORKSPACE,
    "user": member(),
    "token": own_token(),
    "group": group(),
    "lock": lock(),
    "mark": mark(),
    "decision": decision(),
    "version": "1.0.0",
}

# What is used up, or could be the tested credential itself: schemathesis reads ids in answers, and tries them.
USED_UP = {
    ("put", "/organizations/{organization}/members/{user}"): ("user", member),
    ("post", "/tokens/{token}/revoke"): ("token", own_token),
    ("post", "/tokens/{token}/rotate"): ("token", own_token),
    ("delete", "/organizations/{organization}/members/{user}"): ("user", member),
    ("delete", "/organizations/{organization}/groups/{group}"): ("group", group),
    ("delete", "/locks/{lock}"): ("lock", lock),
    ("delete", "/distrust/{mark}"): ("mark", mark),
}

turn = itertools.count()


def mostly():
    """Three times in four."""
    return next(turn) % 4 != 0


def with_known(value):
    """A good body that speaks of what exists."""
    if isinstance(value, list):
        return [with_known(item) for item in value]
    if not isinstance(value, dict):
        return value
    body = {}
    for name, item in value.items():
        if name in KNOWN and isinstance(item, str):
            body[name] = KNOWN[name]
        elif name == "members" and isinstance(item, list):
            body[name] = [USER for _ in item[:1]]
        else:
            body[name] = with_known(item)
    return body


def is_good(case, location):
    return case.meta is None or not case.meta.is_negative_at(location)


@schemathesis.hook
def before_call(context, case, kwargs):
    key = (case.operation.method.lower(), case.operation.path)
    if case.path_parameters and is_good(case, ParameterLocation.PATH) and (key in USED_UP or mostly()):
        for name in case.path_parameters:
            case.path_parameters[name] = KNOWN[name]
        if key in USED_UP:
            name, make = USED_UP[key]
            case.path_parameters[name] = make()
        if key == ("post", "/workspaces/{workspace}/releases/{version}/yank"):
            listed = {"listed": [{"user": OWNER, "actions": ["publish"]}]}
            ask(administrator, "PUT", f"/workspaces/{WORKSPACE}/listed", listed)
    if isinstance(case.body, (dict, list)) and is_good(case, ParameterLocation.BODY) and mostly():
        case.body = with_known(case.body)
        if key == ("post", "/workspaces/{workspace}/resolve"):
            case.body = {"requirement": "2"}
    # Tokens that end as they are made would end the run as well.
    if key == ("put", "/organizations/{organization}/longest-lives") and is_good(case, ParameterLocation.BODY):
        case.body = {"ci": None, "personal": 253402300799}
    # A lock on managing would end the run there, and one on publishing would let no release be withdrawn.
    if key == ("post", "/locks") and isinstance(case.body, dict) and isinstance(case.body.get("actions"), list):
        kept = [action for action in case.body["actions"] if action not in ("administer", "publish")]
        case.body["actions"] = kept or ["delete"]


@schemathesis.hook
def after_call(context, case, response):
    operation = case.operation.definition.raw["operationId"]
    SEEN.write(json.dumps([operation, response.status_code]) + "\n")
