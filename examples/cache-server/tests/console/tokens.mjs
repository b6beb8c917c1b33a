// Tokens of every kind, each made, shown once, copied, rotated and revoked.

import { asked, fetched, store } from "./cache.mjs";
import { act, fill, open, press } from "./hands.mjs";
import { look } from "./look.mjs";
import { is, until } from "./window.mjs";

const device = "/acme/settings?editview=device-tokens";
const ci = "/acme/settings?editview=ci-tokens&workspace=app";

const tools = ["Nx", "Turborepo", "Nix", "ccache", "sccache", "Bazel", "Gradle"];

// Looks at a token that was just made, copies it, and makes sure that nobody finds it afterwards.
const shown = (prefix, name) => async (window) => {
  const { page } = window;
  const token = await window.shown(prefix);
  if (window.scripts) {
    await open(window, ".copied button");
    await until(() => page.evaluate(() => document.querySelector(".copied button").textContent === "Copied"), "it is told that it is copied");
    is((await page.evaluate(() => navigator.clipboard.readText())) === token, "Copy copies it");
  }
  await look(window, name);
  // Back comes nowhere where it is shown, and neither does whoever sends the form once more.
  await window.go("/account");
  await page.goBack().catch(() => {});
  is(!(await page.content()).includes(token), "Back does not show it again");
  await page.reload().catch(() => {});
  is(!(await page.content()).includes(token), "nor does the form that is sent twice");
  return token;
};

const row = (description) => `//a[normalize-space()="${description}"]`;
const rows = (page) => page.evaluate(() => document.querySelectorAll(".rows tbody tr").length);

// A token is rotated and both of them are revoked, each in a dialog that asks again.
const end = async (window, list, description, prefix, names, works) => {
  const { way, page } = window;
  await window.go(list);
  await look(window, names.list);
  await press(window, row(description));
  await look(window, names.one);
  let successor;
  await fill(window, {
    fields: { overlap: "2" }, button: act("rotate"),
    after: async (window) => { successor = await window.shown(prefix); },
  });
  await window.go(list);
  const count = async () => (await page.$$(`::-p-xpath(${row(description)})`)).length;
  is((await count()) === 2, "both live during the overlap");
  if (works) is(await works(successor), "the successor works");
  // What came from a token ends with it: two are revoked where the first one that is found is the successor.
  for (let left = 2; left > 0; left = await count()) {
    await window.go(list);
    await press(window, row(description));
    await fill(window, {
      opens: ["[popovertarget=revoke]:not([popovertargetaction])"],
      form: "#revoke form",
      fields: { reason: `sunk by ${way}` },
      before: (window) => look(window, names.revoke),
      button: act("revoke"),
      sees: ["Revoked."],
    });
    is((await count()) < left, "it is among the live ones no more");
  }
  if (works) is(!(await works(successor)), "the successor works no more");
};

// Makes a CI token and nothing else.
export const makeToken = (window, list) => fill(window, {
  at: `${list}&new=ci`, fields: { description: "one of many" }, button: act("create"), after: () => window.shown("cgc_"),
});

const openDeviceTokens = async (window) => {
  await window.go(device);
  await look(window, "device-tokens-empty");
};

const normal = async (window) => {
  const description = `Submarine #137 by ${window.way}`;
  const token = await fill(window, {
    at: `${device}&new=normal`,
    fields: { description, days: "30" },
    before: (window) => look(window, "device-token-new-normal"),
    button: act("create"),
    sees: ["Copy it now", description],
    after: shown("cg1_", "device-token-made"),
  });
  is((await asked(token)) === 200, "the token works");
  const names = { list: "device-tokens", one: "device-token", revoke: "device-token-revoke" };
  await end(window, device, description, "cg1_", names, async (token) => (await asked(token)) === 200);
};

const resolveOnly = async (window) => {
  const { page } = window;
  const at = `${device}&new=resolve-only`;
  const matching = () => page.evaluate(() => document.querySelector("#matching").innerText);
  const fields = { description: `Fleet by ${window.way}`, project: "app", requirement: "1.*" };
  await fill(window, {
    at, fields,
    // Where there are scripts, what it matches is shown as one types; where there are none, a button asks.
    before: async (window) => {
      if (!window.scripts) return;
      await until(async () => (await matching()).includes("1.3.0"), "it is shown what it matches as one types");
      is(!(await matching()).includes("2.0.0"), "and nothing else");
    },
    button: act("preview"),
    sees: ["1.3.0", "1.2.0"],
    lacks: ["2.0.0"],
  });
  await look(window, "device-token-new-resolve-only");
  await fill(window, {
    at, fields: { ...fields, requirement: "one" },
    button: act("create"),
    sees: ["New token"], lacks: ["Copy it now"],
  });
  await fill(window, {
    at, fields: { ...fields, closure: "read", days: "7" },
    button: act("create"),
    sees: ["Copy it now"],
    after: shown("cg1_", "device-token-made"),
  });
};

// Gives a token of the trunk and its id: further areas need them.
const builds = async (window, kept) => {
  const { page } = window;
  const description = `trunk by ${window.way}`;
  const make = (description, fields) => fill(window, {
    at: `${ci}&new=ci`,
    fields: { description, ...fields },
    before: (window) => look(window, "ci-token-new"),
    button: act("create"),
    sees: ["Copy it now", ...tools],
    after: async (window) => {
      const lines = await page.evaluate(() => [...document.querySelectorAll("pre")].map((lines) => lines.textContent));
      const token = await shown("cgc_", "ci-token-made")(window);
      is(lines.length === tools.length && lines.filter((one) => one.includes(token)).length >= 6, "the token is in the lines to paste");
      return token;
    },
  });
  const token = await make(description, { level: "read-write", lane: "main", days: "90" });
  is((await store(token, `10${window.number}`)).status === 200, "it stores entries");
  await end(window, ci, description, "cgc_", { list: "ci-tokens", one: "ci-token", revoke: "ci-token-revoke" },
    async (token) => (await fetched(token, `10${window.number}`)) === 200);
  kept.writer = await make(`writer by ${window.way}`, { lane: "main" });
  kept.reader = await make(`reader by ${window.way}`, { level: "read-only", lane: "main" });
  await window.go(ci);
  is((await rows(page)) >= 2, "they are listed");
  const link = await page.$(`::-p-xpath(${row(`writer by ${window.way}`)})`);
  kept.writerId = new URL(await link.evaluate((link) => link.href)).searchParams.get("token");
};

const own = async (window) => {
  const description = `laptop by ${window.way}`;
  const token = await fill(window, {
    at: "/account?new=personal",
    fields: { description, level: "read-only", form: "jwt", days: "30" },
    before: (window) => look(window, "personal-token-new"),
    button: act("create"),
    sees: ["Copy it now"],
    after: shown("cg1_", "personal-token-made"),
  });
  is((await asked(token)) === 200, "the token works");
  const names = { list: "account", one: "personal-token", revoke: "personal-token-revoke" };
  await end(window, "/account", description, "cg1_", names, async (token) => (await asked(token)) === 200);
};

export const tokens = [openDeviceTokens, normal, resolveOnly, builds, own];
