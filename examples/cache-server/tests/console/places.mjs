// Organizations, workspaces and their settings, members.

import { fetched } from "./cache.mjs";
import { act, fill } from "./hands.mjs";
import { look } from "./look.mjs";
import { signInByProvider } from "./signin.mjs";
import { is, until } from "./window.mjs";

const organizations = async (window) => {
  await window.go("/");
  is(await window.has("acme"), "the organization is there");
  await look(window, "organizations");
};

const workspaces = async (window) => {
  const name = `web-${window.way}`;
  await fill(window, {
    at: "/acme/settings", fields: { name: "Not A Name" }, button: act("create"), sees: ["Workspaces"], lacks: ["Created."],
  });
  await fill(window, { fields: { name }, button: act("create"), sees: ["Created.", name] });
  await look(window, "workspaces");
};

const settings = async (window) => {
  const name = `web-${window.way}`;
  const at = `/acme/settings?editview=workspace&workspace=${name}`;
  const { page } = window;
  const warnings = () => page.evaluate(() => document.querySelector("#warnings").innerText);
  const anonymous = () => fetched(null, "1", `acme/${name}`);
  await fill(window, {
    at,
    fields: { anonymous: "read-write" },
    before: async (window) => {
      if (window.scripts) await until(async () => (await warnings()).includes("any stranger"), "it warns as one chooses");
    },
    button: act("check"),
    sees: ["any stranger"],
  });
  await look(window, "workspace");
  await fill(window, {
    at,
    fields: { anonymous: "read-only", personal: "read-only", "lane-1": "main", "lane-2": "release" },
    button: act("save"),
    sees: ["Saved."],
    after: async ({ page }) => {
      const found = await page.evaluate(() => [
        ...[...document.querySelectorAll("main form :checked")].filter((field) => field.type === "radio").map((field) => `${field.name}=${field.value}`),
        ...[...document.querySelectorAll("main form select")].slice(0, 2).map((field) => `${field.name}=${field.value}`),
      ]);
      for (const one of ["anonymous=read-only", "personal=read-only", "lane-1=main", "lane-2=release"]) {
        is(found.includes(one), `${one} is saved`);
      }
    },
  });
  is((await anonymous()) === 404, "there is nothing yet, and whoever asks is told so");
  // Two who change the same page: the later is told, and changes nothing.
  await fill(window, { at, fields: { "lane-1": "main", "lane-2": "main" }, button: act("save"), sees: ["once"], lacks: ["Saved."] });
};

const membersAt = "/acme/settings?editview=members";

// Somebody signs in by the provider, is added, and is made an administrator.
const members = async (window, kept) => {
  const { way } = window;
  const person = await signInByProvider(way, `ada-${way}`);
  kept.person = person;
  is(!(await person.window.has("acme")), "whoever is a newcomer is in no organization");
  await fill(window, {
    at: membersAt,
    form: '//form[.//input[@id="user"]]',
    fields: { user: person.id, role: "member" },
    button: act("set"),
    sees: [`ada-${way}`],
  });
  await person.window.go("/");
  is(await person.window.has("acme"), "whoever was added is in the organization");
  await person.window.go("/acme/settings");
  await look(person.window, "workspaces-of-a-member");
  await person.window.go(membersAt);
  is(!(await person.window.has(`ada-${way}`)), "a member does not see what is for administrators");
  await window.go(membersAt);
  await look(window, "members");
  await fill(window, { form: `${row(person.id)}//form[.//select]`, fields: { role: "admin" }, button: act("set"), sees: ["Saved."] });
  await person.window.go(membersAt);
  is(await person.window.has(`ada-${way}`), "an administrator sees them");
};

const row = (words) => `//tr[contains(., "${words}")]`;

const groups = async (window, { person }) => {
  const { way, page } = window;
  const [first, name] = [`crew-${way}`, `team-${way}`];
  await window.go("/acme/settings?editview=groups");
  await look(window, "groups-empty");
  await fill(window, { fields: { name: first, people: person.id }, button: act("create"), sees: ["Created.", `ada-${way}`] });
  await fill(window, { form: `${row(person.id)}//form`, button: act("take-out"), sees: ["Taken out."], lacks: [`ada-${way}`] });
  await fill(window, { fields: { people: person.id }, button: act("add"), sees: ["Added.", `ada-${way}`] });
  await fill(window, { fields: { name }, button: act("rename"), sees: ["Saved.", name] });
  await look(window, "group");
  const group = new URL(page.url()).searchParams.get("group");
  await window.go("/acme/settings?editview=groups");
  await look(window, "groups");

  // A workspace lists the group, and the person besides.
  const at = `/acme/settings?editview=listed&workspace=web-${way}`;
  await fill(window, { at, fields: { group, level: "read-only" }, button: act("add"), sees: ["Added.", name] });
  await fill(window, { at, fields: { person: person.id, level: "read-only" }, button: act("add"), sees: ["Added.", `ada-${way}`] });
  await fill(window, {
    opens: [`${row(name)}//summary`],
    form: `${row(name)}//form[.//button[@value="set"]]`,
    fields: { level: "read-write", actions: "publish" },
    before: (window) => look(window, "listed-change"),
    button: act("set"),
    sees: ["Saved.", "publish"],
  });
  await look(window, "listed");
  await fill(window, {
    form: `${row(`ada-${way}`)}//form[.//button[@value="take-out"]]`, button: act("take-out"), sees: ["Taken out."],
  });

  await fill(window, { at: `/acme/settings?editview=groups&group=${group}`, button: act("count-remove"), sees: [`web-${way}`] });
  await look(window, "group-remove");
  await fill(window, { form: "#confirm form", button: act("remove"), sees: ["Removed."], lacks: [name] });
};

// What a departure ends and what it leaves is told before and after.
const departure = async (window, { person }) => {
  const { way, page } = window;
  await fill(window, {
    at: membersAt,
    form: `${row(person.id)}//form[.//button[@value="count-remove"]]`,
    button: act("count-remove"),
    sees: [`ada-${way}`],
  });
  await look(window, "member-remove");
  await fill(window, { button: act("remove"), sees: ["Removed."] });
  await look(window, "member-removed");
  await person.window.go("/");
  is(!(await person.window.has("acme")), "whoever was removed is in it no more");
  await fill(person.window, { form: "header form", button: "button" });
  is(person.window.page.url().endsWith("/login"), "out again");
  await person.window.close();
  await window.go(membersAt);
  is((await page.$$(`::-p-xpath(${row(person.id)})`)).length === 0, "nobody lists them");
};

const lives = async (window) => {
  const at = "/acme/settings?editview=token-lives";
  await fill(window, { at, fields: { ci: "120", "ci-unit": "days" }, button: act("save"), sees: ["Saved.", "120 days"] });
  await look(window, "token-lives");
  await fill(window, { at, fields: { ci: "" }, button: act("save"), sees: ["Saved."], lacks: ["120 days"] });
};

export const places = [organizations, workspaces, settings, members, groups, departure, lives];
