// Locks and distrust, whose effect is counted before it is confirmed; trust rules; access, refusals and the audit.

import { fetched, store } from "./cache.mjs";
import { act, fill } from "./hands.mjs";
import { look } from "./look.mjs";
import { makeToken } from "./tokens.mjs";
import { is, until } from "./window.mjs";

const locks = async (window) => {
  const { way } = window;
  const at = "/acme/settings?editview=locks";
  const reason = `an incident seen by ${way}`;
  const row = `//tr[contains(., "${reason}")]//form`;
  await fill(window, {
    at,
    opens: ['//summary[.="New lock"]'],
    fields: { place: `web-${way}`, hours: "2", reason },
    button: act("count-lock"),
    sees: ["Live CI tokens", `web-${way}`],
  });
  await look(window, "lock-confirm");
  await fill(window, { form: "#confirm form", button: act("lock"), sees: ["Locked.", reason] });
  await look(window, "locks");
  is((await fetched(null, "1", `acme/web-${way}`)) !== 200, "what it stops is refused");
  await fill(window, { form: row, button: act("lift"), sees: ["Lifted."], lacks: [reason] });
};

const distrust = async (window, kept) => {
  const { way } = window;
  const at = "/acme/settings?editview=locks";
  const keys = ["1", "2", "3"].map((key) => `2${window.number}${key}`);
  for (const key of keys) is((await store(kept.writer, key)).status === 200, "an entry is stored");
  const readable = async () => {
    const found = await Promise.all(keys.map((key) => fetched(kept.reader, key)));
    return found.filter((status) => status === 200).length;
  };
  const today = new Date().toISOString().slice(0, 10);
  const scopes = [
    ["//summary[contains(., \"a token's entries\")]", { token: kept.writerId }, 3],
    ['//summary[contains(., "in some days")]', { of: "app", from: "2026-01-01", to: today }, undefined],
  ];
  for (const [opener, fields, count] of scopes) {
    const reason = `a leak seen by ${way}, ${Object.keys(fields)[0]}`;
    is((await readable()) === 3, "they are read");
    await fill(window, {
      at,
      opens: [opener],
      form: `//details[.${opener}]//form`,
      fields: { ...fields, reason },
      button: act("count-distrust"),
      sees: ["become", "miss", ...(count === undefined ? [] : [`${count} stored entries`])],
    });
    await look(window, count === undefined ? "distrust-days-confirm" : "distrust-confirm");
    await fill(window, { form: "#confirm form", button: act("distrust"), sees: ["Distrusted.", reason] });
    await look(window, "distrust");
    is((await readable()) === 0, "each of them is a miss");
    await fill(window, { form: `//tr[contains(., "${reason}")]//form`, button: act("trust"), sees: ["Trusted again."], lacks: [reason] });
  }
  is((await readable()) === 3, "they are read again");
};

// Every token of a workspace at once.
const revocation = async (window) => {
  const place = `web-${window.way}`;
  const token = await makeToken(window, `/acme/settings?editview=ci-tokens&workspace=${place}`);
  is((await fetched(token, "1", `acme/${place}`)) === 404, "the token is let in, and there is nothing");
  const reason = `many leaked, seen by ${window.way}`;
  await fill(window, {
    at: "/acme/settings?editview=locks",
    opens: ['//summary[.="Revoke every token of a place"]'],
    fields: { place, reason },
    button: act("count-revoke"),
    sees: ["Live CI tokens: 1.", place],
  });
  await look(window, "revoke-many-confirm");
  await fill(window, { form: "#confirm form", button: act("revoke"), sees: ["Revoked."] });
  is((await fetched(token, "1", `acme/${place}`)) === 401, "it is refused");
};

const open = '[[rules]]\nname = "open"\nanchor = "github"\norganization = "acme"\ngrant = { level = "read-write", lane = "main" }\n';

const own = (window) => `[[rules]]
name = "tags-${window.way}"
anchor = "github"
organization = "acme"
workspace = "app"
when = [{ ref = { kind = "tag" } }, { fact = "trigger.class", equals = "trusted" }]
grant = { level = "read-only", lane = "main" }
`;

const rules = async (window, kept) => {
  const at = "/acme/settings?editview=trust-rules";
  const { page } = window;
  const part = (id) => page.evaluate((id) => document.getElementById(id).innerText, id);
  await fill(window, {
    at,
    fields: { rules: open },
    before: async (window) => {
      if (window.scripts) await until(async () => (await part("found")).includes("write_without_trigger"), "it is linted as one types");
    },
    button: act("check"),
    sees: ["write_without_trigger"],
  });
  await look(window, "trust-rules-lint");
  await fill(window, {
    at,
    fields: { identity: kept.job },
    button: act("try"),
    after: async () => is((await part("trial")).includes("Let in by the rule trunk"), "the dry run lets the job in"),
  });
  await look(window, "trust-rules");
  await fill(window, {
    at,
    fields: { rules: open.replace("[[rules]]", "[[rules]]\npins = [{ fact = \"repo.id\", is = \"1\" }]"), identity: kept.job },
    button: act("try"),
    after: async () => is((await page.$$("#trial .steps .no")).length > 0 || (await part("trial")).includes("No rule"), "each step is told of a job that is not let in"),
  });
  await look(window, "trust-rules-refused");
  await fill(window, { at, fields: { rules: own(window) }, button: act("save"), sees: ["Saved."] });
  await look(window, "trust-rules-saved");
  is((await page.evaluate(() => document.getElementById("rules").value)).includes(`tags-${window.way}`), "the rules are kept");
  await fill(window, { at, fields: { rules: "" }, button: act("save"), sees: ["Saved."] });
};

const access = async (window, kept) => {
  const { page, number } = window;
  const at = "/acme/settings?editview=explain&workspace=app";
  const refused = await store(kept.reader, `3${number}`);
  is(refused.status === 403 && refused.refusal !== null, "a token that only reads stores nothing");
  await fill(window, { at, form: "form:has(select[name=action])", fields: { action: "write" }, button: "button", lacks: [`reader by ${window.way}`] });
  await fill(window, { form: "form:has(select[name=action])", fields: { action: "read" }, button: "button", sees: [`reader by ${window.way}`] });
  is((await page.$$("svg.picture")).length === 1, "there is a map");
  await fill(window, { form: "form:has(#decision)", fields: { decision: "00000000-0000-7000-8000-000000000000" }, button: "button", sees: ["No refusal of this id"] });
  await fill(window, {
    form: "form:has(#decision)",
    fields: { decision: refused.refusal },
    button: "button",
    after: async () => is((await page.evaluate(() => document.querySelector("#refusal").innerText)).includes("write"), "the refusal is told"),
  });
  await look(window, "access");
};

const audit = async (window, kept) => {
  const { page } = window;
  const at = "/acme/settings?editview=audit";
  const rows = () => page.evaluate(() => document.querySelector(".rows").innerText);
  const form = "form.filters";
  const today = new Date().toISOString().slice(0, 10);
  await window.go(at);
  await look(window, "audit");
  await fill(window, { at, form, fields: { code: "token_issued", since: "2026-01-01", until: today }, button: "button" });
  is((await page.$$("svg.picture")).length === 1, "there is a timeline");
  is((await rows()).includes("token_issued") && !(await rows()).includes("settings_changed"), "it is filtered by what was done");
  await fill(window, { at, form, fields: { target: kept.writerId }, button: "button" });
  is((await rows()).includes(kept.writerId) && !(await rows()).includes("settings_changed"), "it is filtered by what it is about");
  await fill(window, { at, form, fields: { until: "2020-01-01" }, button: "button" });
  is((await page.$$(".rows")).length === 0, "nothing was done before there was a server");
  await look(window, "audit-empty");
};

const missing = async (window) => {
  await window.go("/nosuch/settings");
  is(await window.has("There is no such page"), "what is not there is told so");
  await look(window, "not-found");
};

export const guards = [locks, distrust, revocation, rules, access, audit, missing];
