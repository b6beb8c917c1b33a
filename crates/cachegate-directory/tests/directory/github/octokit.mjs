// Prints the payloads of @octokit/webhooks-examples for the events that a directory is made of, each as it is or with
// another action, signed by @octokit/webhooks-methods: one JSON object a line.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const folder = join(process.env.CACHEGATE_OCTOKIT_WEBHOOKS, "node_modules", "@octokit");
const require = createRequire(pathToFileURL(join(folder, "webhooks-examples", "package.json")));
const examples = require("./api.github.com/index.json");
const { sign } = await import(pathToFileURL(join(folder, "webhooks-methods", "dist-node", "index.js")));

for (const { name, examples: payloads } of examples) {
  for (const payload of payloads) {
    const variants = [payload];
    // No example of somebody who left: it has the shape of somebody who came.
    if (name === "organization" && payload.action === "member_added") {
      variants.push({ ...payload, action: "member_removed" });
    }
    for (const variant of variants) {
      const body = JSON.stringify(variant);
      const signature = await sign(process.env.SECRET, body);
      console.log(JSON.stringify({ event: name, action: variant.action ?? "", body, signature }));
    }
  }
}
