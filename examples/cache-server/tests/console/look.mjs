// Looks at a page on a wide screen and a narrow one, in light and in dark: nothing is wider than the screen, and axe finds
// nothing serious. With PICTURES set a picture of each is kept there, without the secrets that it shows.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { axe, is, PICTURES, secrets, wide } from "./window.mjs";

const screens = { wide, narrow: { width: 360, height: 740 } };
const colours = (page, scheme) => page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);

export const looked = new Set();

const mask = (page) => page.evaluate((secrets) => {
  const masked = (text) => secrets.reduce((text, secret) => text.replaceAll(secret, `${secret.slice(0, 4)}${"x".repeat(Math.min(secret.length, 600) - 4)}`), text);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.data = masked(texts.currentNode.data);
  for (const field of document.querySelectorAll("input, textarea")) {
    if (masked(field.value) !== field.value) field.value = masked(field.value);
  }
}, [...secrets]);

const serious = async () => {
  const run = await window.axe.run(document, { resultTypes: ["violations"] });
  return run.violations
    .filter((one) => one.impact === "serious" || one.impact === "critical")
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
};

export const look = async ({ page, scripts }, name) => {
  // Once is enough, and axe is a script.
  if (looked.has(name) || !scripts) return;
  looked.add(name);
  await mask(page);
  for (const [screen, size] of Object.entries(screens)) {
    await page.setViewport(size);
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    is(wider <= 0, `${name} fits a ${screen} screen, and is ${wider} pixels wider`);
    for (const scheme of ["light", "dark"]) {
      await colours(page, scheme);
      // The wide screen is kept in light, the narrow one in dark.
      if (PICTURES && (screen === "wide") === (scheme === "light")) {
        mkdirSync(PICTURES, { recursive: true });
        await page.screenshot({ path: join(PICTURES, `${name}-${screen}.webp`), type: "webp", quality: 60, fullPage: true, captureBeyondViewport: false });
      }
      if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
      const found = await page.evaluate(serious);
      is(found.length === 0, `axe finds nothing serious on ${name}, ${screen}, ${scheme}: ${found.join("; ")}`);
    }
  }
  await page.setViewport(wide);
  await colours(page, "light");
};
