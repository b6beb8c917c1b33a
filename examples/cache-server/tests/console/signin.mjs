// Signing in, by the administrator's token and by a provider; signing out; approving terminals, and ending their logins.

import { asked, terminal } from "./cache.mjs";
import { act, fill, press } from "./hands.mjs";
import { look } from "./look.mjs";
import { BASE, is, openWindow, PROVIDER, until } from "./window.mjs";

const decide = (what) => `button[name=decision][value=${what}]`;

// Signs the administrator in, on the way to a page, and comes back to that.
export const signIn = async (window, token, path) => {
  await window.go(path);
  is(window.page.url().startsWith(`${BASE}/login`), "whoever is not signed in is led to the login");
  await look(window, "login");
  await fill(window, { form: "form:has([name=token])", fields: { token: "cgp_nonsense" }, button: "button", sees: ["signs nobody in"] });
  await fill(window, { form: "form:has([name=token])", fields: { token }, button: "button" });
  is(window.page.url() === `${BASE}${path}`, `back where one wanted to go, not at ${window.page.url()}`);
  is((await window.cookies()).length > 0, "a cookie says who is signed in");
};

export const signOut = async (window) => {
  const held = await window.cookies();
  await window.go("/");
  await fill(window, { form: "header form", button: "button" });
  await window.go("/account");
  is(window.page.url().startsWith(`${BASE}/login`), "whoever signed out is led to the login");
  // Not even whoever kept the cookie is let in.
  await window.context.setCookie(...held);
  await window.go("/account");
  is(window.page.url().startsWith(`${BASE}/login`), "the session has ended, and is not merely forgotten");
};

// Somebody signs in by the provider, who asks them who they are; gives their window and their id.
export const signInByProvider = async (way, name) => {
  const window = await openWindow(way);
  await window.go("/account");
  await press(window, '//a[contains(., "corp")]');
  is(window.page.url().startsWith(PROVIDER), "the provider asks");
  await fillAtProvider(window, name);
  await until(async () => window.page.url() === `${BASE}/account`, "back from the provider where one wanted to go");
  is(await window.has(name), "called what the provider says");
  is(await window.has(PROVIDER), "the linked login is told");
  await window.cookies();
  await look(window, "account-of-a-newcomer");
  const id = await window.page.evaluate(() => document.querySelector("main code").textContent);
  await window.go("/");
  await look(window, "organizations-of-a-newcomer");
  return { window, id };
};

const fillAtProvider = async (window, name) => {
  const button = "button[type=submit]";
  window.text = () => window.page.evaluate(() => document.body.innerText);
  await fill(window, { form: "form:has([name=password])", fields: { login: name, password: "x" }, button });
  await fill(window, { form: `form:has(${button})`, button });
  window.text = () => window.page.evaluate(() => document.querySelector("main").innerText);
};

// A terminal's code, typed and approved; another, looked at and denied; a third, by whoever shows a token and is not
// signed in.
export const approveTerminals = async (window, token) => {
  const { way } = window;
  const type = async (where, fields, decision, sees, names) => {
    const waiting = await terminal(`a terminal by ${way}`);
    const user_code = waiting.code;
    await where.go("/activate");
    await look(where, names[0]);
    // Whoever guesses is stopped soon.
    if (decision === "deny") await fill(where, { fields: { user_code: "WRONGCODES", ...fields }, button: decide("look"), sees: ["login waits under this code"] });
    await fill(where, { fields: { user_code, ...fields }, button: decide("look"), sees: [`a terminal by ${way}`, user_code] });
    await look(where, names[1]);
    await fill(where, { fields, button: decide(decision), sees });
    await look(where, names[2]);
    return waiting.told();
  };
  const approved = await type(window, {}, "approve", ["Approved"], ["activate", "activate-decide", "activate-approved"]);
  is((await asked(approved.access_token)) === 200, "the terminal is signed in");
  const denied = await type(window, {}, "deny", ["Denied"], ["activate", "activate-decide", "activate-denied"]);
  is(denied.error === "access_denied", "the terminal gets nothing");
  const stranger = await openWindow(way);
  const shown = await type(stranger, { token }, "approve", ["Approved"], ["activate-by-token", "activate-by-token-decide", "activate-approved"]);
  is((await asked(shown.access_token)) === 200, "the terminal is signed in by who showed a token");
  await stranger.close();

  // Every login in a terminal is ended at once.
  await window.go("/account");
  await look(window, "account-with-terminals");
  await fill(window, { fields: { what: "terminals" }, button: act("count-end"), sees: ["Logins in a terminal"] });
  await look(window, "account-end");
  await fill(window, { form: "#confirm form", button: act("end"), sees: ["Ended."] });
  for (const one of [approved, shown]) is((await asked(one.access_token)) === 401, "the terminal is signed in no more");
};

