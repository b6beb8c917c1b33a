// The console in a real browser: every flow, by mouse and by keyboard, wide and narrow, light and dark.
//
// Asked of by browser.rs: BASE is where the console is, standard input is the administrator's token and the id of a
// refusal, and PICTURES, where it is set, is the folder that a picture of each page is written to.

import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const require = createRequire(join(process.env.CACHEGATE_PUPPETEER, "node_modules", "x.js"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const { BASE, PICTURES, CHROMIUM } = process.env;
const [token, refusal, job] = readFileSync(0, "utf8").trim().split("\n");

let checks = 0;
const is = (found, what) => {
  checks += 1;
  if (!found) throw new Error(`not so: ${what}`);
};

const browser = await puppeteer.launch({
  executablePath: CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  protocolTimeout: 120_000,
});
const context = browser.defaultBrowserContext();
await context.overridePermissions(BASE, ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
const page = await browser.newPage();
page.setDefaultTimeout(60_000);

const problems = [];
const addresses = [];
page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
page.on("request", (request) => {
  addresses.push(request.url());
  // What the browser itself draws, such as the icon of a date field, is asked of nobody.
  const own = request.url().startsWith(`${BASE}/`) || request.url().startsWith("data:");
  if (!own) problems.push(`asked ${request.url()}`);
});

const screens = {
  wide: { width: 1280, height: 800 },
  narrow: { width: 360, height: 740 },
};
const colours = (scheme) => page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
const text = () => page.$eval("main", (main) => main.innerText);
const go = async (path) => {
  await page.goto(`${BASE}${path}`, { waitUntil: "load" });
};
// Whatever leads to another page is awaited until that page is there.
const follow = async (act) => {
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), act()]);
};
const press = async (label, within = "main") => {
  const button = await page.waitForSelector(`${within} ::-p-xpath(.//*[self::button or self::a][normalize-space(text()[1])="${label}"])`);
  await follow(() => button.click());
};

// One page on each screen and in each colour: nothing wider than the screen, nothing serious found by axe.
const looked = new Set();
const look = async (name) => {
  for (const [screen, size] of Object.entries(screens)) {
    await page.setViewport(size);
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    is(wider <= 0, `${name} fits ${screen}, and is ${wider} pixels wider`);
    for (const scheme of ["light", "dark"]) {
      await colours(scheme);
      const pictured = (screen === "wide") === (scheme === "light");
      if (PICTURES && pictured && !looked.has(name)) {
        mkdirSync(PICTURES, { recursive: true });
        await page.screenshot({ path: join(PICTURES, `${name}-${screen}.webp`), type: "webp", quality: 60, fullPage: true });
      }
      if (!(await page.evaluate(() => "axe" in window))) {
        const world = page.mainFrame();
        await world.evaluate(axe);
      }
      const found = await page.evaluate(async () => {
        const run = await window.axe.run(document, { resultTypes: ["violations"] });
        return run.violations
          .filter((one) => one.impact === "serious" || one.impact === "critical")
          .map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
      });
      is(found.length === 0, `axe finds nothing serious on ${name}, ${screen}, ${scheme}: ${found.join("; ")}`);
    }
  }
  await page.setViewport(screens.wide);
  await colours("light");
  looked.add(name);
};

// Goes from field to field as somebody without a mouse does, and types; `null` presses what is there.
const byKeyboard = async (steps) => {
  for (const [name, typed] of steps) {
    for (let tries = 0; ; tries += 1) {
      const at = await page.evaluate(() => {
        const here = document.activeElement;
        return { name: here?.getAttribute("name") ?? "", value: here?.getAttribute("value") ?? "", popover: here?.getAttribute("popovertarget") ?? "" };
      });
      if (at.name === name || `${at.name}=${at.value}` === name || at.popover === name) break;
      is(tries < 120, `the keyboard reaches ${name}`);
      await page.keyboard.press("Tab");
    }
    const outlined = await page.evaluate(() => document.activeElement.matches(":focus-visible"));
    is(outlined, `${name} shows that it is where the keyboard is`);
    if (typed !== null) await page.keyboard.type(typed);
  }
};

await page.setViewport(screens.wide);
await colours("light");

// Sign in by the administrator's token, and come back to what was looked for.
const device = "/acme/settings?editview=device-tokens";
await go(device);
is(page.url().startsWith(`${BASE}/login`), "whoever is not signed in is led to the login");
await look("login");
await page.type("input[name=token]", token);
await follow(() => page.keyboard.press("Enter"));
is(page.url() === `${BASE}${device}`, `back at the device tokens, not at ${page.url()}`);
const cookies = await context.cookies();
is(cookies.length > 0 && cookies.every((one) => one.httpOnly && ["Lax", "Strict"].includes(one.sameSite)), "cookies are for no script and no other site");
await look("device-tokens-empty");
await go("/");
await look("organizations");

// A device token, by keyboard alone: made, copied, revoked.
await go(`${device}&new=normal`);
await look("device-token-new-normal");
await byKeyboard([["description", "Submarine #137"], ["days", "30"], ["act=create", null]]);
await follow(() => page.keyboard.press("Enter"));
const made = await page.$eval("input.secret", (field) => field.value);
is(made.startsWith("cg1_"), "the token is shown");
await page.click(".copied button");
await page.waitForFunction(() => document.querySelector(".copied button").textContent === "Copied");
is((await page.evaluate(() => navigator.clipboard.readText())) === made, "Copy copies it");
await page.$eval("input.secret", (field) => { field.value = `cg1_${"x".repeat(600)}`; });
await look("device-token-made");
await go(device);
is((await text()).includes("Submarine #137"), "it is listed");
is(!(await page.content()).includes(made), "and shown no more");
await look("device-tokens");
await press("Submarine #137");
await look("device-token");
await byKeyboard([["revoke", null]]);
await page.keyboard.press("Enter");
await page.waitForSelector("#revoke:popover-open");
await look("device-token-revoke");
await byKeyboard([["reason", "sunk"], ["act=revoke", null]]);
await follow(() => page.keyboard.press("Enter"));
is((await text()).includes("Revoked."), "it is told that it is revoked");
is((await text()).includes("There is none."), "it is among the live ones no more");

// A resolve-only token: what its constraint matches is shown as one types.
await go(`${device}&new=resolve-only`);
await page.type("#description", "Fleet");
await page.type("#requirement", "1.");
await page.waitForFunction(() => !document.querySelector("#matching").innerText.includes("shown here"));
await page.type("#requirement", "*");
await page.waitForFunction(() => document.querySelector("#matching").innerText.includes("1.3.0"));
is(!(await text()).includes("2.0.0"), "and nothing else");
await look("device-token-new-resolve-only");
await press("Create token");
is((await page.$eval("input.secret", (field) => field.value)).startsWith("cg1_"), "the token is shown");

// A CI token with the lines to paste; its rotation.
const ci = "/acme/settings?editview=ci-tokens&workspace=app";
await go(ci);
await press("New token");
await look("ci-token-new");
await page.type("#description", "trunk");
await press("Create token");
const first = await page.$eval("input.secret", (field) => field.value);
for (const tool of ["Nx", "Turborepo", "Nix", "ccache", "sccache", "Bazel", "Gradle"]) {
  is((await page.content()).includes(`<summary>${tool}</summary>`), `it says how ${tool} is set up`);
}
is((await page.$eval("details pre", (lines) => lines.textContent)).includes(first), "with the token in the lines");
await page.evaluate((shown) => {
  const mask = (node) => { node.textContent = node.textContent.replaceAll(shown, "cgc_xxxxxxxxxxxxxxxxxxxxxxxx"); };
  document.querySelectorAll("pre").forEach(mask);
  document.querySelector("input.secret").value = "cgc_xxxxxxxxxxxxxxxxxxxxxxxx";
}, first);
await look("ci-token-made");
await go(ci);
await look("ci-tokens");
await press("trunk");
await look("ci-token");
await press("Rotate");
is((await page.$eval("input.secret", (field) => field.value)) !== first, "a successor is shown");
await go(ci);
is((await page.$$(".rows tbody tr")).length >= 2, "both live during the overlap");

// A personal token, the account.
await go("/account?new=personal");
await look("personal-token-new");
await page.type("#description", "laptop");
await press("Create token");
await go("/account");
is((await text()).includes("laptop"), "it is on the account's page");
await look("account");

// Settings, with a warning as one chooses.
await go("/acme/settings?editview=workspace&workspace=app");
await page.click("input[name=anonymous][value=read-write]");
await page.waitForFunction(() => document.querySelector("#warnings").innerText.includes("any stranger"));
await look("workspace");
await page.click("input[name=anonymous][value=read-only]");
await press("Save");
is((await text()).includes("Saved."), "the settings are saved");
is(await page.$eval("input[name=anonymous][value=read-only]", (field) => field.checked), "as they were chosen");

// Workspaces and members.
await go("/acme/settings");
await page.type("#name", "web");
await press("Create workspace");
is((await text()).includes("web"), "the workspace is there");
await look("workspaces");
await go("/acme/settings?editview=members");
await look("members");

// Trust rules: the linter as one types, a dry run.
await go("/acme/settings?editview=trust-rules");
await page.focus("#rules");
await page.keyboard.down("Control");
await page.keyboard.press("End");
await page.keyboard.up("Control");
await page.keyboard.type("\n[[rules]]\nname = \"open\"\nanchor = \"github\"\norganization = \"acme\"\ngrant = { level = \"read-write\", lane = \"main\" }\n");
await page.waitForFunction(() => document.querySelector("#found").innerText.includes("rule_pin_missing"));
await look("trust-rules-lint");
await go("/acme/settings?editview=trust-rules");
await page.type("#identity", job);
await press("Try");
is((await page.$eval("#trial", (trial) => trial.innerText)).includes("Let in by the rule trunk"), "the dry run lets the job in");
is(!(await page.content()).includes(job.split(".")[2]), "and repeats no token");
await look("trust-rules");

// Access and why something was refused.
await go("/acme/settings?editview=explain&workspace=app");
is((await page.$$("svg.picture")).length === 1, "there is a map");
await page.type("#decision", refusal);
await press("Explain");
is((await page.$eval("#refusal", (told) => told.innerText)).includes("delete"), "the refusal is told");
await look("access");

// The audit.
await go("/acme/settings?editview=audit");
await page.select("select[name=code]", "token_issued");
await press("Show");
is((await page.$$("svg.picture")).length === 1, "there is a timeline");
is((await text()).includes("token_issued") && !(await page.$eval(".rows", (rows) => rows.innerText)).includes("settings_changed"), "it is filtered");
await look("audit");

// A lock: its effect is counted first.
await go("/acme/settings?editview=locks");
await page.click("details summary");
await page.select("#place", "app");
await page.type("#hours", "2");
await page.type("#lock-reason", "an incident");
await press("Count what it concerns");
is((await page.$eval("#confirm", (asked) => asked.innerText)).includes("live CI tokens"), "its effect is counted");
await look("lock-confirm");
await press("Lock", "#confirm");
is((await text()).includes("an incident"), "it is in force");
await look("locks");
await press("Lift");
is((await text()).includes("None is in force."), "it is lifted");

// The page that approves a terminal is reached signed in, and what is not there looks as it should.
await go("/activate");
await look("activate");
await go("/nosuch/settings");
await look("not-found");
await go("/acme/settings?editview=device-tokens&workspace=nosuch");

// Without a script everything is still there: in a window of its own, where none ever ran.
const plain = await browser.newPage();
await plain.setJavaScriptEnabled(false);
await plain.goto(`${BASE}${device}&new=resolve-only`, { waitUntil: "load" });
await plain.select("#project", "app");
await plain.type("#requirement", "1.*");
await plain.focus("button[value=preview]");
await plain.keyboard.press("Enter");
// While the next page comes there is none to ask.
const there = async () => plain.content().catch(() => "");
for (let tries = 0; !(await there()).includes("would resolve to <code>1.3.0</code>"); tries += 1) {
  is(tries < 600, "what it matches is shown without a script");
  await new Promise((done) => setTimeout(done, 100));
}
await plain.close();

await go("/");
await press("Sign out", "header");
await go(device);
is(page.url().startsWith(`${BASE}/login`), "whoever signed out is led to the login");

const unexpected = problems.filter((problem) => !/status of (404|422)/.test(problem));
is(unexpected.length === 0, `nothing went wrong beneath: ${unexpected.join("; ")}`);
is(!addresses.some((address) => address.includes(made) || address.includes(first) || address.includes(token)), "no token was in an address");
await browser.close();
console.log(`${checks} checks, ${looked.size} pages`);
