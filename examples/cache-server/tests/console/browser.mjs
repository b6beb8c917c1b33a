// The console in a real browser: every flow by mouse, by the keyboard alone and without scripts, wide and narrow, light and
// dark.
//
// Asked of by main.rs: BASE is where the console is, PROVIDER where people may sign in, FOLDER is the test's own. Standard
// input is JSON: the administrator's token, a job's token, and every act that the console's forms know. What must be
// nowhere else afterwards is written to FOLDER/secrets. PICTURES, where it is set, is the folder for pictures.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { guards } from "./guards.mjs";
import { looked } from "./look.mjs";
import { places } from "./places.mjs";
import { approveTerminals, signIn, signOut } from "./signin.mjs";
import { tokens } from "./tokens.mjs";
import { addresses, browser, checked, FOLDER, is, openWindow, problems, secrets, sent } from "./window.mjs";

const { administrator, job, acts } = JSON.parse(readFileSync(0, "utf8"));
secrets.add(administrator).add(job);

const ways = ["mouse", "keyboard", "plain"];
for (const [number, way] of ways.entries()) {
  // The first is one of those that keep history on the disk.
  const window = await openWindow(way, number === 0 ? browser.defaultBrowserContext() : undefined);
  window.number = number;
  const kept = { job };
  await signIn(window, administrator, "/acme/settings?editview=device-tokens");
  for (const flow of [...tokens, ...places, ...guards]) {
    try {
      await flow(window, kept);
    } catch (error) {
      throw new Error(`${flow.name}, ${way}, at ${window.page.url()}`, { cause: error });
    }
  }
  await approveTerminals(window, administrator);
  await signOut(window);

  // Where the window has been holds no secret.
  const client = await window.page.createCDPSession();
  const { entries } = await client.send("Page.getNavigationHistory");
  const been = JSON.stringify(entries);
  is(entries.length > 20 && ![...secrets].some((secret) => been.includes(secret)), "no secret is in the history");
  await window.close();
}

// A form whose button shows what a field matches is of one page alone.
const without = (act) => ["account preview", "ci-tokens preview"].includes(act);
for (const way of ways) {
  for (const act of acts) is(without(act) || sent.has(`${way}: ${act}`), `${act} was done by ${way}`);
}
is(problems.length === 0, `nothing went wrong beneath: ${problems.join("; ")}`);
is(![...addresses].some((address) => [...secrets].some((secret) => address.includes(secret))), "no secret was in an address");
await browser.close();

// What the browser keeps on the disk: history, sessions, caches.
const files = readdirSync(join(FOLDER, "profile"), { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
const holding = files.filter((file) => {
  const bytes = readFileSync(join(file.parentPath, file.name));
  return [...secrets].some((secret) => bytes.includes(secret));
});
is(files.length > 10 && holding.length === 0, `no secret is kept on the disk: ${holding.map((file) => file.name).join(", ")}`);
writeFileSync(join(FOLDER, "secrets"), [...secrets].join("\n"), { mode: 0o600 });
console.log(`${checked()} checks, ${looked.size} pages`);
