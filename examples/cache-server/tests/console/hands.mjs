// How somebody fills in a form: by a mouse, or by the keyboard alone. The same form is described once, for both.

import { is, until } from "./window.mjs";

const focused = (page, field) => field.evaluate((field) => {
  const at = document.activeElement;
  const same = (one) => one.type === "radio" && one.name === field.name && one.form === field.form;
  return at === field || (field.type === "radio" && same(at));
});

const mouse = {
  async reach({ page }, field) {
    const place = await field.evaluate((field) => {
      field.scrollIntoView({ block: "center" });
      // A link may be broken over two lines: its first part is there for certain.
      const { x, y, width, height } = field.getClientRects()[0];
      // A date is entered from its first part on.
      return { x: x + (field.type === "date" ? 14 : width / 2), y: y + height / 2 };
    });
    await page.mouse.click(place.x, place.y);
  },
  press: (window, button) => mouse.reach(window, button),
  async choose({ page }, field, value) {
    // The list that opens is the system's own: it is not a part of the page that could be clicked.
    await field.select(value);
  },
  turn: (window, field) => mouse.reach(window, field),
};

const keyboard = {
  // From element to element, as somebody goes who has no mouse.
  async reach({ page }, field) {
    for (let steps = 0; !(await focused(page, field)); steps += 1) {
      is(steps < 400, "the keyboard reaches what it is to reach");
      await page.keyboard.press("Tab");
    }
    is(await page.evaluate(() => document.activeElement.matches(":focus-visible")), "it is seen where the keyboard is");
  },
  async press(window, button) {
    await keyboard.reach(window, button);
    await window.page.keyboard.press("Enter");
  },
  async choose(window, field, value) {
    await keyboard.reach(window, field);
    const [at, to] = await field.evaluate((field, value) => {
      const values = [...field.options].map((option) => option.value);
      return [field.selectedIndex, values.indexOf(value)];
    }, value);
    for (let left = Math.abs(to - at); left > 0; left -= 1) {
      await window.page.keyboard.press(to > at ? "ArrowDown" : "ArrowUp");
    }
  },
  async turn(window, field) {
    await keyboard.reach(window, field);
    const { page } = window;
    if ((await field.evaluate((field) => field.type)) === "checkbox") return page.keyboard.press("Space");
    for (let steps = 0; !(await field.evaluate((field) => field.checked)); steps += 1) {
      is(steps < 40, "the arrows reach the choice");
      await page.keyboard.press("ArrowDown");
    }
    return undefined;
  },
};

const hand = (window) => (window.way === "keyboard" ? keyboard : mouse);

// One of the page's elements; `place` is a CSS selector, or an XPath that begins with a slash.
export const find = (window, place) => until(
  () => window.page.$(place.startsWith("/") ? `::-p-xpath(${place})` : place),
  `${place} is there`,
);

const type = async (window, field, value) => {
  await hand(window).reach(window, field);
  const { keyboard: keys } = window.page;
  if ((await field.evaluate((field) => field.type)) === "date") {
    const [year, month, day] = value.split("-");
    return keys.type(`${month}${day}${year}`);
  }
  await keys.down("Control");
  await keys.press("a");
  await keys.up("Control");
  return value === "" ? keys.press("Delete") : keys.type(value);
};

const set = async (window, form, name, value) => {
  const named = await until(() => form.$(`[name="${name}"]:not([type=hidden])`), `there is a field ${name}`);
  const kind = await named.evaluate((field) => field.type);
  if (kind === "radio" || kind === "checkbox") {
    const field = await until(() => form.$(`[name="${name}"][value="${value}"]`), `${name} may be ${value}`);
    if (!(await field.evaluate((field) => field.checked))) await hand(window).turn(window, field);
    is(await field.evaluate((field) => field.checked), `${name} is ${value}`);
  } else if (kind === "select-one") {
    await hand(window).choose(window, named, value);
    is((await named.evaluate((field) => field.value)) === value, `${name} is ${value}`);
  } else {
    await type(window, named, value);
    is((await named.evaluate((field) => field.value)) === value, `${name} holds what was typed`);
  }
};

// Presses what leads to another page.
export const press = async (window, place) => {
  const button = await find(window, place);
  await window.follow(() => hand(window).press(window, button));
};

// Presses what changes this page, such as what opens a dialog.
export const open = async (window, place) => hand(window).press(window, await find(window, place));

// Fills in a form and sends it. A form says
// - `at`: the page that it is on; without one, it is on the page that is there,
// - `opens`: what is pressed before it is seen,
// - `form`: which it is, if its button is on the page twice,
// - `fields`: names and values, in their order,
// - `button`: what it is sent by, as a selector within the form,
// - `before` and `after`: what is looked at before and after it was sent,
// - `sees` and `lacks`: what must then be read, and what must not.
export const fill = async (window, { at, opens = [], form, fields = {}, button, before, sees = [], lacks = [], after }) => {
  if (at !== undefined) await window.go(at);
  for (const place of opens) await open(window, place);
  const holder = await find(window, form ?? `form:has(${button})`);
  for (const [name, value] of Object.entries(fields)) await set(window, holder, name, value);
  await before?.(window);
  const sender = await until(() => holder.$(button), `${button} is there`);
  await window.follow(() => hand(window).press(window, sender));
  const text = await window.text();
  for (const words of sees) is(text.includes(words), `after ${button} one reads "${words}"`);
  for (const words of lacks) is(!text.includes(words), `after ${button} one does not read "${words}"`);
  return after?.(window);
};

export const act = (name) => `button[name=act][value=${name}]`;
