// The page of a trace that goes on, renewed now and then while somebody looks at it. The server's own page is the only renderer;
// it answers 304 as long as nothing would look different.

const SOONEST_MS = 2000;
const LATEST_MS = 8000;
const TIMES = 10; // as long as it took, but no longer than the slowest: a large trace keeps neither side busy
const SLOWEST_MS = 20000;
const LAST = '"last"'; // fits no page: once more after the end, for what was still being written

export class Renewal {
  // `place()`: what the server has to know beside the page's address, and what is to be the same when it answers. `at()`: the
  // span that has the keyboard, which no fold may swallow.
  constructor(page, place, take, at = () => "") {
    this.mark = page.dataset.renew;
    this.place = place;
    this.take = take;
    this.at = at;
    this.wait = SOONEST_MS;
    this.button = document.querySelector("[data-hold]");
    if (!this.mark) return;
    if (this.button) this.button.hidden = false;
    this.button?.addEventListener("click", () => this.#hold(!this.held));
    document.addEventListener("visibilitychange", () => this.#plan(0));
    this.#plan();
  }

  // Something was fetched that lies on an axis of its own.
  soon() {
    if (!this.mark) return;
    this.mark = LAST;
    this.#plan(0);
  }

  #hold(held) {
    this.held = held;
    this.button.textContent = held ? "Go on" : "Pause";
    this.#plan(0);
  }

  #plan(ms = this.wait) {
    clearTimeout(this.due);
    if (!this.mark || this.held || this.busy || document.hidden) return;
    this.due = setTimeout(() => this.#renew(), ms);
  }

  async #renew() {
    this.busy = true;
    const began = performance.now();
    try {
      await this.#ask();
      this.wait = Math.max(this.wait, Math.min(SLOWEST_MS, TIMES * (performance.now() - began)));
    } catch {
      this.wait = LATEST_MS; // the server does not answer
    }
    this.busy = false;
    this.#plan(this.mark === LAST ? SOONEST_MS : this.wait);
  }

  async #ask() {
    const place = this.place();
    const mark = this.mark;
    const address = new URL(window.location.href);
    const open = `${place.open ?? ""} ${this.at()}`.trim();
    for (const [name, value] of Object.entries({ ...place, open })) if (value) address.searchParams.set(name, value);
    const answer = await fetch(address, { headers: { Accept: "text/html", "If-None-Match": mark } });
    if (answer.status === 304) {
      this.wait = Math.min(this.wait * 1.5, LATEST_MS);
      return;
    }
    if (answer.redirected || (answer.status >= 400 && answer.status < 500)) return void this.#end();
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    this.wait = SOONEST_MS;
    // What the user did meanwhile wins: the next answer knows of it.
    if (JSON.stringify(place) !== JSON.stringify(this.place()) || mark !== this.mark || this.held) return;
    if (this.take(fresh)) this.#stands(fresh.querySelector("[data-renew]")?.dataset.renew);
  }

  #stands(mark) {
    if (!mark && this.over) this.#end();
    this.over = !mark;
    if (this.mark) this.mark = mark ?? LAST;
  }

  #end() {
    this.mark = null;
    if (!this.button) return;
    if (this.button === document.activeElement) this.button.nextElementSibling.focus();
    this.button.hidden = true;
  }
}

// The parts of the page that are not lines. What did not change stays as it is, and so does the focus in what did.
export function renewParts(fresh) {
  for (const old of document.querySelectorAll("[data-live]")) {
    const part = fresh.getElementById(old.id);
    if (!part || old.isEqualNode(part)) continue;
    const link = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
    old.replaceChildren(...document.importNode(part, true).childNodes);
    if (link) old.querySelector(`a[href="${CSS.escape(link)}"]`)?.focus({ preventScroll: true });
  }
}
