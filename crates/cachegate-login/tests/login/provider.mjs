// A certified OpenID provider on a port of the loopback, twice: below /okta it says of people what Okta says, below
// /<tenant>/v2.0 what Entra says. Whoever comes is signed in as `ada`, without being asked. GET /rotate makes a new key
// that signs from then on. Entra names the type of its ID tokens and this provider does not, so that those are signed anew.

import { createServer } from 'node:http';
import { createPrivateKey, generateKeyPair, sign } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const folder = process.env.CACHEGATE_OIDC_PROVIDER;
// Where people reach the server that they sign in to.
const base = process.env.CACHEGATE_BASE;
const entry = join(folder, 'node_modules', 'oidc-provider', 'lib', 'index.js');
const { Provider } = await import(pathToFileURL(entry));

const tenant = 'aaaabbbb-0000-cccc-1111-dddd2222eeee';
const people = {
  '/okta': { name: 'Ada', preferred_username: 'ada@corp.example', groups: ['staff'] },
  [`/${tenant}/v2.0`]: {
    name: 'Ada', preferred_username: 'ada@corp.example', tid: tenant, oid: 'bbbbcccc-1111-dddd-2222-eeee3333ffff',
    _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'https://graph.example/' } },
  },
};

let count = 0;
const makeKey = async () => {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  count += 1;
  return { ...privateKey.export({ format: 'jwk' }), kid: `key-${count}`, alg: 'RS256', use: 'sig' };
};

const makeProvider = (origin, path, keys) => new Provider(`${origin}${path}`, {
  jwks: { keys },
  cookies: { keys: ['not-a-secret'] },
  clients: ['okta', 'entra'].map((name) => ({
    client_id: `${name}-client`, client_secret: 'not-a-secret',
    redirect_uris: [`${base}/login/${name}/callback`],
    grant_types: ['authorization_code'], response_types: ['code'],
  })),
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, { uid }) => `${path}/interaction/${uid}` },
  claims: { openid: ['sub'], profile: Object.keys(people[path]) },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[path] }) }),
  loadExistingGrant: async ({ oidc }) => {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid profile');
    await grant.save();
    return grant;
  },
});

// With `typ` in the header, as Entra has it.
const nameType = (token) => {
  const claims = token.split('.')[1];
  const header = { typ: 'JWT', alg: 'RS256', kid: key.kid };
  const input = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${claims}`;
  const signature = sign('sha256', input, createPrivateKey({ key, format: 'jwk' }));
  return `${input}.${signature.toString('base64url')}`;
};

const answerAsEntra = (response) => {
  const end = response.end.bind(response);
  response.end = (body, ...rest) => {
    const answer = JSON.parse(body);
    if (answer.id_token !== undefined) answer.id_token = nameType(answer.id_token);
    const text = JSON.stringify(answer);
    response.setHeader('content-length', Buffer.byteLength(text));
    return end(text, ...rest);
  };
};

let [origin, providers, key] = [];
const rotate = async () => {
  key = await makeKey();
  const made = Object.keys(people).map((path) => [path, makeProvider(origin, path, [key])]);
  providers = Object.fromEntries(made);
};

const server = createServer(async (request, response) => {
  const { url } = request;
  if (url === '/rotate') {
    await rotate();
    response.end();
    return;
  }
  const path = Object.keys(people).find((path) => url.startsWith(path));
  if (path === undefined) {
    response.writeHead(404).end();
    return;
  }
  request.originalUrl = url;
  request.url = url.slice(path.length);
  if (request.url === '/token' && path !== '/okta') answerAsEntra(response);
  if (request.url.startsWith('/interaction/')) {
    await providers[path].interactionFinished(request, response, { login: { accountId: 'ada' } });
  } else {
    await providers[path].callback()(request, response);
  }
});
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address();
  origin = `http://127.0.0.1:${port}`;
  await rotate();
  console.log(`listening on ${port}`);
});
// Whoever started it holds the other end: it ends when nobody does.
process.stdin.on('end', () => process.exit(0)).resume();
