// A trace's page: its lines by mouse and keyboard, and what is known of each. The server draws all of it.

import { Details } from "./details.js";
import { Filter } from "./filter.js";
import { listen } from "./keys.js";
import { Lines } from "./lines.js";
import { merge } from "./merge.js";
import { Renewal, renewParts } from "./renewal.js";

const OPEN_MOST = 150; // folds that an address can name
const page = document.getElementById("content-main");
const root = document.querySelector("[data-waterfall]");
if (root) open().catch(() => {}); // it can be read without
else new Renewal(page, () => ({}), begun);

// There was no span yet.
function begun(fresh) {
  if (fresh.querySelector("[data-waterfall]")) window.location.reload();
  renewParts(fresh);
  return true;
}

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
  function take(fresh) {
    const drawn = fresh.querySelector("[data-rows]");
    if (!drawn) return false; // the store can't be read just now
    renewParts(fresh);
    merge(lines, drawn);
    trying(filter.renew());
    details.renew(fresh.getElementById("details"));
    return true;
  }

  function place() {
    const open = lines.unfolded();
    const whole = lines.whole || open.length > OPEN_MOST;
    return { span: chosenSpan(), all: whole ? "on" : "", open: whole ? "" : open.join(" ") };
  }

  const renewal = new Renewal(page, place, take, () => lines.at());
  lines.onFetched = () => renewal.soon();
  lines.start(lines.shown()[0]);
  const chosen = chosenSpan();
  const row = chosen && (await lines.of(chosen.padStart(16, "0")));
  if (row) lines.reveal(row);
  if (row) lines.choose(row.id.slice(2));
}

function chosenSpan() {
  return new URLSearchParams(window.location.search).get("span");
}
