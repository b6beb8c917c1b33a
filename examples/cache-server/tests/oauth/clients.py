"""Authlib and PyJWT against a running server: discovery, the device flow, refreshing, token exchange, introspection,
revocation, and the published keys."""

import os

import jwt
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

ISSUER = os.environ["ISSUER"]
ADMINISTRATOR = os.environ["ADMINISTRATOR"]
AUDIENCE = os.environ["AUDIENCE"]
GRANT = "urn:ietf:params:oauth:grant-type:"
TYPE = "urn:ietf:params:oauth:token-type:"


def refused(error, call, *arguments, **parameters):
    try:
        call(*arguments, **parameters)
    except OAuthError as caught:
        assert caught.error == error, caught
        return
    raise AssertionError(f"not refused: {error}")


metadata = AuthorizationServerMetadata(requests.get(f"{ISSUER}/.well-known/oauth-authorization-server").json())
metadata.validate_issuer()
metadata.validate_token_endpoint()
metadata.validate_jwks_uri()
metadata.validate_grant_types_supported()
metadata.validate_revocation_endpoint()
metadata.validate_introspection_endpoint()
assert metadata["issuer"] == ISSUER
token_endpoint = metadata["token_endpoint"]
public = OAuth2Session(client_id="authlib", token_endpoint_auth_method="none")
service = OAuth2Session(client_id=os.environ["SERVICE"], client_secret=os.environ["SECRET"])
server = OAuth2Session(client_id=os.environ["SERVER"], client_secret=os.environ["SECRET"])

# The device flow.
begun = requests.post(metadata["device_authorization_endpoint"], data={"client_id": "authlib"}).json()
device = {"grant_type": GRANT + "device_code", "device_code": begun["device_code"]}
refused("authorization_pending", public.fetch_token, token_endpoint, **device)
refused("slow_down", public.fetch_token, token_endpoint, **device)
page = requests.get(begun["verification_uri_complete"])
assert begun["user_code"] in page.text, page.text
form = {"user_code": begun["user_code"], "token": ADMINISTRATOR}
assert "authlib" in requests.post(begun["verification_uri"], data=form).text
approved = requests.post(begun["verification_uri"], data={**form, "decision": "approve"})
assert approved.ok, approved.text
login = public.fetch_token(token_endpoint, **device)
refused("invalid_grant", public.fetch_token, token_endpoint, **device)

# Renewed, once.
renewed = public.refresh_token(token_endpoint, refresh_token=login["refresh_token"])
assert renewed["refresh_token"] != login["refresh_token"]


def introspect(session, token):
    return session.introspect_token(metadata["introspection_endpoint"], token=token).json()


# Exchanged for a session of a service, of less.
def exchange(**parameters):
    return public.fetch_token(
        token_endpoint, grant_type=GRANT + "token-exchange", subject_token_type=TYPE + "access_token", **parameters
    )


exchanged = exchange(subject_token=renewed["access_token"], audience=AUDIENCE, scope="read")
assert exchanged["issued_token_type"] == TYPE + "access_token", exchanged
assert exchanged["scope"] == "read", exchanged
refused("invalid_target", exchange, subject_token=renewed["access_token"], audience="https://elsewhere.example")
refused("invalid_request", exchange, subject_token="cgp_nothing")

# What the service is told, and what it verifies by itself.
told = introspect(service, exchanged["access_token"])
assert (told["active"], told["aud"], told["iss"], told["scope"]) == (True, AUDIENCE, ISSUER, "read"), told
assert introspect(service, renewed["access_token"]) == {"active": False}, "for the server alone"
assert introspect(server, renewed["access_token"])["active"]
keys = jwt.PyJWKClient(metadata["jwks_uri"])


def verified(token, audience):
    key = keys.get_signing_key_from_jwt(token)
    return jwt.decode(token, key, algorithms=["EdDSA"], audience=audience, issuer=ISSUER)


claims = verified(exchanged["access_token"], AUDIENCE)
assert claims["jti"] == told["jti"] and claims["sub"] == told["sub"], claims
assert verified(renewed["access_token"].removeprefix("cg1_"), ISSUER)["aud"] == ISSUER
try:
    verified(exchanged["access_token"], ISSUER)
    raise AssertionError("another audience was taken")
except jwt.InvalidAudienceError:
    pass

# Revoked: what came of it ends too.
assert public.revoke_token(metadata["revocation_endpoint"], token=renewed["access_token"]).ok
assert introspect(server, renewed["access_token"]) == {"active": False}
assert introspect(service, exchanged["access_token"]) == {"active": False}
assert public.revoke_token(metadata["revocation_endpoint"], token="never-was-one").ok
assert public.revoke_token(metadata["revocation_endpoint"], token=renewed["refresh_token"]).ok
refused("invalid_grant", public.refresh_token, token_endpoint, refresh_token=renewed["refresh_token"])
print("authlib: all done")
