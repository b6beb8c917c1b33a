// A real browser and its windows, each with what is watched in it: what it asks for, what goes wrong beneath, what it
// sends, and whether a secret that was shown once is seen again.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const require = createRequire(join(process.env.CACHEGATE_PUPPETEER, "node_modules", "x.js"));
const puppeteer = require("puppeteer-core");
export const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
export const { BASE, PROVIDER, PICTURES, FOLDER, CHROMIUM } = process.env;
const PATIENCE = 90_000;

export const wide = { width: 1280, height: 800 };

let checks = 0;
export const checked = () => checks;
export const is = (found, what) => {
  checks += 1;
  if (!found) throw new Error(`not so: ${what}`);
};

// Whatever opens a door: tokens, cookies, codes. They are told to nobody, here neither.
export const secrets = new Set();
export const problems = [];
export const addresses = new Set();
// What was sent, as "<way>: <page> <act>".
export const sent = new Set();

export const browser = await puppeteer.launch({
  executablePath: CHROMIUM ?? "/usr/bin/chromium",
  userDataDir: join(FOLDER, "profile"),
  // Nothing but this machine is there to be asked, and a date is typed as Americans do.
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en-US",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
  env: { ...process.env, LANG: "en_US.UTF-8" },
  protocolTimeout: 2 * PATIENCE,
});

// Waits until something is so. Asked from here: in a page without scripts nothing waits by itself.
export const until = async (found, what) => {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    // While the next page comes there is none to ask.
    const answer = await found().catch(() => undefined);
    if (answer) return answer;
    is(Date.now() < deadline, what);
    await new Promise((done) => setTimeout(done, 50));
  }
};

const watch = (page, way) => {
  const ours = (url) => url.startsWith(`${BASE}/`);
  page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
  page.on("console", (message) => {
    const told = message.type() === "error" && ours(message.location().url ?? "");
    // A form that is sent back, and a page that is not there, are told so.
    if (told && !/status of (401|404|422)/.test(message.text())) problems.push(message.text());
  });
  page.on("request", (request) => {
    const url = request.url();
    addresses.add(url);
    if (request.method() === "POST" && ours(url)) {
      const place = new URL(url);
      const shown = place.searchParams.get("editview") ?? place.pathname.slice(1);
      const act = new URLSearchParams(request.postData()).get("act") ?? "";
      if (request.isNavigationRequest()) sent.add(`${way}: ${shown} ${act}`);
    }
    // What the browser itself draws, such as the icon of a date field, is asked of nobody; the provider's pages are its own.
    const from = request.frame()?.url() ?? "";
    if (ours(from) && !ours(url) && !url.startsWith("data:") && !url.startsWith(`${PROVIDER}/`)) {
      problems.push(`asked ${url}`);
    }
  });
};

// A window of a browser in which nobody is signed in: one that keeps nothing on the disk, unless told. `way` says how forms are filled in there: by `mouse`, by
// `keyboard` alone, or `plain`, without scripts.
export const openWindow = async (way, its) => {
  const context = its ?? await browser.createBrowserContext();
  await context.overridePermissions(BASE, ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  await page.setJavaScriptEnabled(way !== "plain");
  await page.setViewport(wide);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
  watch(page, way);

  // No page holds a secret that was shown before.
  const clean = async () => {
    const text = await page.content();
    is(![...secrets].some((secret) => text.includes(secret)), `no secret is shown again at ${page.url()}`);
    is(![...secrets].some((secret) => page.url().includes(secret)), "no secret is in an address");
  };
  const window = {
    page, context, way,
    scripts: way !== "plain",
    text: () => page.evaluate(() => document.querySelector("main").innerText),
    has: async (words) => (await window.text()).includes(words),
    go: async (path) => {
      await page.goto(`${BASE}${path}`, { waitUntil: "load" });
      await clean();
    },
    // Whatever leads to another page is awaited until that page is there.
    follow: async (act) => {
      await Promise.all([page.waitForNavigation({ waitUntil: "load" }), act()]);
      await clean();
    },
    cookies: async () => {
      // The provider is on the same machine, and has cookies of its own.
      const held = (await context.cookies()).filter((one) => one.name.startsWith("cachegate-"));
      for (const one of held) {
        is(one.httpOnly && ["Lax", "Strict"].includes(one.sameSite), `the cookie ${one.name} is for no script and no other site`);
        secrets.add(one.value);
      }
      return held;
    },
    // The token that a page shows this once.
    shown: async (prefix) => {
      const token = await page.evaluate(() => document.querySelector("input.secret").value);
      is(token.startsWith(prefix) && !secrets.has(token), "a new token is shown");
      secrets.add(token);
      return token;
    },
    close: () => (its ? page.close() : context.close()),
  };
  return window;
};
