// A certified OpenID provider, on a port of the loopback, whose tokens say what those of a self-managed GitLab say.
//
// Its clients are CI jobs: each gets JWT access tokens (RFC 9068) for the resource that it names. Beside the provider's
// own addresses there are two: GET /rotate makes a new key that signs from then on, and keeps the one before published;
// GET /asked says how often the discovery document and the keys were fetched.

import { createServer } from 'node:http';
import { generateKeyPair } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const folder = process.env.CACHEGATE_OIDC_PROVIDER;
const entry = join(folder, 'node_modules', 'oidc-provider', 'lib', 'index.js');
const { Provider } = await import(pathToFileURL(entry));

const job = (branch, more) => ({
  project_id: '20', project_path: 'lumen-labs/beacon', namespace_id: '72', namespace_path: 'lumen-labs',
  job_project_id: '20', job_project_path: 'lumen-labs/beacon', job_namespace_id: '72', job_namespace_path: 'lumen-labs',
  user_id: '1', user_login: 'mira', pipeline_id: '574', job_id: '302', runner_id: 1, runner_environment: 'self-hosted',
  sha: '2d3523ed8d5c5252f59fba724c9f4de52964bc01', ref: branch, ref_type: 'branch', ...more,
});
const jobs = {
  trunk: job('main', { pipeline_source: 'push', ref_path: 'refs/heads/main', ref_protected: 'true' }),
  merge: job('feature', {
    pipeline_source: 'merge_request_event', ref_path: 'refs/merge-requests/5/head', ref_protected: 'false',
  }),
};

let count = 0;
const makeKey = async () => {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  count += 1;
  return { ...privateKey.export({ format: 'jwk' }), kid: `key-${count}`, alg: 'RS256', use: 'sig' };
};

const makeProvider = (issuer, keys) => new Provider(issuer, {
  jwks: { keys },
  clients: Object.keys(jobs).map((client_id) => ({
    client_id, client_secret: 'not-a-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  })),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, audience) => ({
        audience,
        scope: 'cache',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'RS256', kid: keys[0].kid } },
      }),
    },
  },
  extraTokenClaims: (_, token) => jobs[token.clientId],
  formats: {
    customizers: {
      jwt: (_, token, { payload }) => {
        const { project_path, ref_type, ref } = jobs[token.clientId];
        payload.sub = `project_path:${project_path}:ref_type:${ref_type}:ref:${ref}`;
      },
    },
  },
});

const asked = { discovery: 0, keys: 0 };
let [issuer, keys, serve] = [];
const rotate = async () => {
  keys = [await makeKey(), ...(keys ?? [])].slice(0, 2);
  serve = makeProvider(issuer, keys).callback();
};

const server = createServer(async (request, response) => {
  if (request.url === '/rotate') {
    await rotate();
    response.end();
  } else if (request.url === '/asked') {
    response.end(`${asked.discovery} ${asked.keys}`);
  } else {
    asked.discovery += request.url === '/.well-known/openid-configuration' ? 1 : 0;
    asked.keys += request.url === '/jwks' ? 1 : 0;
    await serve(request, response);
  }
});
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address();
  issuer = `http://127.0.0.1:${port}`;
  await rotate();
  console.log(`listening on ${port}`);
});
// Whoever started it holds the other end: it ends when nobody does.
process.stdin.on('end', () => process.exit(0)).resume();
