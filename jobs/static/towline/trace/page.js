// A trace's page: its lines by mouse and keyboard, and what is known of each. The server draws all of it.

import { Details } from "./details.js";
import { Filter } from "./filter.js";
import { listen } from "./keys.js";
import { Lines } from "./lines.js";

const root = document.querySelector("[data-waterfall]");
if (root) open().catch(() => {}); // it can be read without

async function open() {
  const lines = new Lines(root.querySelector("[data-rows]"));
  const said = root.querySelector("[data-filtered]");
  const trying = (done) => Promise.resolve(done).catch((error) => { said.textContent = `Not loaded: ${error.message}`; });
  const details = new Details(document.querySelector("[data-details]"), (key) => trying(show(key)));
  const filter = new Filter(root, lines, trying);
  listen(lines, details, filter, trying);

  async function show(key) {
    const row = await lines.of(key);
    if (row) lines.focus(row);
    lines.choose(key);
    await details.pin(key);
  }

  for (const [name, act] of [["collapse", () => lines.closeAll()], ["expand", () => lines.openAll()]]) {
    const button = root.querySelector(`[data-${name}]`);
    button.hidden = false;
    button.addEventListener("click", () => trying(act()));
  }
  lines.start(lines.shown()[0]);
  const chosen = new URLSearchParams(window.location.search).get("span");
  const row = chosen && (await lines.of(chosen.padStart(16, "0")));
  if (row) lines.reveal(row);
  if (row) lines.choose(row.id.slice(2));
}
