// The search field: what is looked for, how many lines have it, and going from one to the next.

import { kept } from "./kept.js";
import { Search } from "./search.js";
import { put } from "./words.js";

const TYPING_MS = 250;

export class Finder {
  constructor(panel) {
    this.panel = panel;
    this.field = panel.part("find");
    this.found = panel.part("found");
    this.search = new Search(panel.source, { changed: () => this.changed() });
    this.seek = null; // the line from which the first hit is wanted
    panel.view.isHit = (n) => this.search.has(n);
    panel.watchers.push({ lines: (lines) => this.heard(lines), begun: () => this.leave(), filtered: () => this.begin() });
    this.field.addEventListener("input", () => this.typed());
    this.field.addEventListener("keydown", (event) => this.key(event));
    panel.part("next").addEventListener("click", () => this.go(false));
    panel.part("previous").addEventListener("click", () => this.go(true));
    this.toggle("case");
    this.toggle("regex");
  }

  toggle(name) {
    const button = this.panel.part(name);
    button.setAttribute("aria-pressed", String(kept(name) === "true"));
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      kept(name, String(on));
      this.begin();
    });
  }

  // --- typing ---------------------------------------------------------------------------------------------------------

  focus() {
    this.field.focus();
    this.field.select();
  }

  typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.begin(), TYPING_MS);
  }

  key(event) {
    if (event.key === "Enter") {
      event.preventDefault();
      if (this.isNew()) this.begin();
      else this.go(event.shiftKey);
    }
    if (event.key === "Escape") {
      event.preventDefault();
      this.leave();
      this.panel.view.box.focus({ preventScroll: true });
    }
  }

  leave() {
    this.field.value = "";
    this.begin();
  }

  isNew() {
    return JSON.stringify(this.wish()) !== JSON.stringify(this.search.wanted);
  }

  wish() {
    const on = (name) => this.panel.part(name).getAttribute("aria-pressed") === "true";
    const query = this.field.value;
    return query ? { query, regex: on("regex"), ignoreCase: !on("case") } : null;
  }

  begin() {
    clearTimeout(this.typing);
    const { panel } = this;
    const wanted = this.wish();
    panel.view.now = null;
    this.seek = wanted && panel.view.firstSeen;
    if (!wanted) this.search.clear();
    else this.search.find(wanted, { job: panel.root.dataset.job, attempt: panel.attempt, stream: panel.text.stream });
    panel.view.renew({ pattern: this.search.pattern });
  }

  // --- hits -----------------------------------------------------------------------------------------------------------

  heard(lines) {
    this.search.look(lines);
    this.say();
  }

  changed() {
    const ahead = this.seek !== null && this.search.hits[this.search.after(this.seek - 1)];
    if (ahead || (this.seek !== null && !this.search.running && this.search.hits.length)) {
      this.show(ahead || this.search.hits[0]);
      this.seek = null;
    }
    this.panel.view.drawSoon();
    this.say();
  }

  async go(back) {
    const { view } = this.panel;
    const { search } = this;
    const from = view.now ?? view.firstSeen - (back ? 0 : 1);
    if (!back && search.more && search.after(from) === search.hits.length) await search.goOn();
    const hit = search.next(from, back);
    if (hit) this.show(hit);
  }

  show(hit) {
    this.panel.view.now = hit;
    this.panel.setFollowing(false);
    this.panel.view.showLine(hit);
    this.say();
  }

  say() {
    put(this.found, this.search.standing(this.panel.view.now));
    this.found.classList.toggle("failed", Boolean(this.search.failure));
    const none = !this.search.hits.length;
    this.panel.part("next").disabled = this.panel.part("previous").disabled = none;
  }
}
