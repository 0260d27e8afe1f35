// A job's or an attempt's page: its log, and what the server says of it, renewed whenever the stream tells of a change.

import { openLog } from "./log/open.js";

const WAIT_MS = 200;
const AGAIN_MS = 2000; // when the server does not answer
let before = null;
let due = null;

const root = document.querySelector("[data-log]");
if (root) openLog(root, { onState: told, onEnd: ended });

// The first word is what the page shows already, unless something happened in between.
function told({ progress, ...state }) {
  pulled(progress);
  const now = JSON.stringify([state, Boolean(progress)]);
  const changed = before === null ? state.state !== shownState() : now !== before;
  before = now;
  if (changed) renewSoon();
}

// A page that shows the end already stays as it is: what is renewed loses a keyboard's place in it.
function ended({ state }) {
  if (shownState() !== state) renewSoon();
}

const shownState = () => document.querySelector("[data-state]")?.dataset.state;

function pulled(progress) {
  const bar = document.querySelector("[data-pull]");
  if (!bar || !progress) return;
  bar.max = progress.total || 1;
  bar.value = progress.done || 0;
  document.querySelector("[data-pull-said]").textContent = `${mebibytes(progress.done)} of ${mebibytes(progress.total)} MiB`;
}

const mebibytes = (bytes) => ((bytes || 0) / 1048576).toFixed(1);

function renewSoon(ms = WAIT_MS) {
  due ??= setTimeout(() => renew().catch(() => renewSoon(AGAIN_MS)), ms);
}

// The server's own page is the only renderer: its live parts replace ours.
async function renew() {
  due = null;
  const answer = await fetch(window.location.pathname + window.location.search, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.id;
  for (const old of document.querySelectorAll("[data-live]")) {
    const part = fresh.getElementById(old.id);
    if (part) old.replaceWith(document.importNode(part, true));
  }
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
}
