// What build tools and terminals do meanwhile, by the server's own protocols.

import { BASE, secrets, is } from "./window.mjs";

const bearer = (token) => ({ authorization: `Bearer ${token}` });

// Stores an entry in the workspace, and says what came of it.
export const store = async (token, key) => {
  const answer = await fetch(`${BASE}/acme/app/v1/cache/${key}`, { method: "PUT", headers: bearer(token), body: `entry ${key}` });
  return { status: answer.status, refusal: answer.headers.get("cachegate-decision") };
};

export const fetched = async (token, key, place = "acme/app") => {
  const headers = token === null ? {} : bearer(token);
  return (await fetch(`${BASE}/${place}/v1/cache/${key}`, { headers })).status;
};

// What a token opens of the API: its status.
export const asked = async (token) => (await fetch(`${BASE}/api/v1/whoami`, { headers: bearer(token) })).status;

const form = (path, fields) => fetch(`${BASE}${path}`, { method: "POST", body: new URLSearchParams(fields) });

// A terminal that waits for its login.
export const terminal = async (name) => {
  const begun = await (await form("/oauth/device_authorization", { client_id: name })).json();
  secrets.add(begun.device_code);
  const ask = { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: begun.device_code, client_id: name };
  return {
    code: begun.user_code,
    // What it is told once it has been decided: a token, or why there is none.
    told: async () => {
      const answer = await (await form("/oauth/token", ask)).json();
      for (const token of [answer.access_token, answer.refresh_token]) if (token) secrets.add(token);
      is(answer.access_token !== undefined || answer.error !== undefined, "the terminal is told something");
      return answer;
    },
  };
};
