// A certified OpenID provider on a port of the loopback, which asks people who they are and whether that may be told.
// Whoever comes is called as they say. GET /reached-at?URL tells it where people reach the server that they sign in to.

import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const entry = join(process.env.CACHEGATE_OIDC_PROVIDER, "node_modules", "oidc-provider", "lib", "index.js");
const { Provider } = await import(pathToFileURL(entry));

const offer = (origin, server) => new Provider(origin, {
  cookies: { keys: ["not-a-secret"] },
  clients: [{
    client_id: "cache",
    token_endpoint_auth_method: "none",
    redirect_uris: [`${server}/login/corp/callback`],
    grant_types: ["authorization_code"],
    response_types: ["code"],
  }],
  pkce: { required: () => true },
  claims: { openid: ["sub"], profile: ["name"] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: id }) }),
});

let callback;
const server = createServer((request, response) => {
  const told = request.url.split("/reached-at?")[1];
  if (told === undefined) return callback(request, response);
  callback = offer(`http://127.0.0.1:${server.address().port}`, told).callback();
  return response.end();
});
server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
// Whoever started it holds the other end: it ends when nobody does.
process.stdin.on("end", () => process.exit(0)).resume();
