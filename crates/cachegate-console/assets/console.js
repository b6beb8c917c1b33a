// What is better with a script: copying, and answers as one types. Every page works without.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = button.parentElement.querySelector("input, pre");
    try {
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      const label = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = label; }, 2000);
    } catch {
      if (source.select) source.select();
      else getSelection().selectAllChildren(source);
    }
  });
}

// A field with data-live="ID" renews the element of that id from the form's own answer. What is marked data-secret, and
// what a form sends but once, stays here.
const live = async (field) => {
  const form = field.form;
  const data = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (!form.elements[name]?.dataset?.secret) data.append(name, value);
  }
  data.append("act", field.dataset.act ?? "preview");
  const answer = await fetch(form.action, { method: "POST", body: data, credentials: "same-origin" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const renewed = page.getElementById(field.dataset.live);
  const stale = document.getElementById(field.dataset.live);
  if (renewed && stale) stale.replaceChildren(...renewed.childNodes);
};

for (const field of document.querySelectorAll("[data-live]")) {
  let waiting;
  let asked = 0;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    const mine = ++asked;
    waiting = setTimeout(() => { if (mine === asked) live(field).catch(() => {}); }, 200);
  });
}

// Without a script each choice is sent by its own button.
for (const form of document.querySelectorAll("form[data-at-once]")) {
  form.addEventListener("change", () => form.requestSubmit());
}
