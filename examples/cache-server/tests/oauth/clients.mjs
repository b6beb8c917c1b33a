// openid-client and jose against a running server: discovery, the device flow, refreshing, token exchange,
// introspection, revocation, and the published keys.

import assert from 'node:assert/strict'

import * as jose from 'jose'
import * as client from 'openid-client'

const { ISSUER, ADMINISTRATOR, AUDIENCE, SERVICE, SERVER, SECRET } = process.env
const TYPE = 'urn:ietf:params:oauth:token-type:'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

const discover = (algorithm, id, authentication) =>
  client.discovery(new URL(ISSUER), id, undefined, authentication, {
    algorithm,
    execute: [client.allowInsecureRequests],
  })

const open = await discover('oidc', 'openid-client', client.None())
const service = await discover('oauth2', SERVICE, client.ClientSecretBasic(SECRET))
const server = await discover('oauth2', SERVER, client.ClientSecretPost(SECRET))
assert.equal(open.serverMetadata().issuer, ISSUER)
assert.equal(open.serverMetadata().authorization_endpoint, undefined)

// The device flow: the person approves while the terminal waits.
const begun = await client.initiateDeviceAuthorization(open, {})
const form = (decision) =>
  fetch(begun.verification_uri, {
    method: 'POST',
    body: new URLSearchParams({ user_code: begun.user_code, token: ADMINISTRATOR, decision }),
  })
const polled = client.pollDeviceAuthorizationGrant(open, { ...begun, interval: 1 })
assert.match(await (await form('look')).text(), /openid-client/)
assert.equal((await form('approve')).status, 200)
const login = await polled
assert.equal(login.token_type, 'bearer')

const renewed = await client.refreshTokenGrant(open, login.refresh_token)
await assert.rejects(client.refreshTokenGrant(open, 'cgr_nothing'), { error: 'invalid_grant' })

// Exchanged for a session of a service, of less.
const exchange = (parameters) =>
  client.genericGrantRequest(open, EXCHANGE, {
    subject_token: renewed.access_token,
    subject_token_type: `${TYPE}access_token`,
    ...parameters,
  })
const exchanged = await exchange({ audience: AUDIENCE, scope: 'read', requested_token_type: `${TYPE}jwt` })
assert.equal(exchanged.issued_token_type, `${TYPE}jwt`)
assert.equal(exchanged.scope, 'read')
await assert.rejects(exchange({ audience: 'https://elsewhere.example' }), { error: 'invalid_target' })
await assert.rejects(exchange({ scope: 'everything' }), { error: 'invalid_scope' })
const details = JSON.stringify([{ type: 'cachegate_workspaces', identifiers: [] }])
const nowhere = await exchange({ authorization_details: details })
assert.deepEqual(nowhere.authorization_details.at(-1), { type: 'cachegate_workspaces', identifiers: [] })

// What the service is told, and what it verifies by itself.
const told = await client.tokenIntrospection(service, exchanged.access_token)
assert.equal(told.active, true)
assert.equal(told.aud, AUDIENCE)
assert.deepEqual(await client.tokenIntrospection(service, renewed.access_token), { active: false })
assert.equal((await client.tokenIntrospection(server, renewed.access_token)).active, true)
const stranger = await discover('oauth2', SERVICE, client.ClientSecretBasic('another secret'))
await assert.rejects(client.tokenIntrospection(stranger, exchanged.access_token))
const keys = jose.createRemoteJWKSet(new URL(open.serverMetadata().jwks_uri))
const verified = (token, audience) => jose.jwtVerify(token, keys, { issuer: ISSUER, audience, typ: 'at+jwt' })
const { payload, protectedHeader } = await verified(exchanged.access_token, AUDIENCE)
assert.equal(payload.jti, told.jti)
assert.equal(protectedHeader.alg, 'EdDSA')
await verified(renewed.access_token.replace(/^cg1_/, ''), ISSUER)
await assert.rejects(verified(exchanged.access_token, ISSUER), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' })

// Revoked: what came of it ends too.
await client.tokenRevocation(open, renewed.access_token)
assert.deepEqual(await client.tokenIntrospection(server, renewed.access_token), { active: false })
assert.deepEqual(await client.tokenIntrospection(service, exchanged.access_token), { active: false })
await client.tokenRevocation(open, 'never-was-one')

// A terminal that is denied.
const second = await client.initiateDeviceAuthorization(open, {})
const denied = await fetch(second.verification_uri, {
  method: 'POST',
  headers: { accept: 'application/json', authorization: `Bearer ${ADMINISTRATOR}` },
  body: new URLSearchParams({ user_code: second.user_code, decision: 'deny' }),
})
assert.deepEqual(await denied.json(), { decision: 'denied' })
await assert.rejects(client.pollDeviceAuthorizationGrant(open, { ...second, interval: 1 }), { error: 'access_denied' })
console.log('openid-client: all done')
