// Only the lines with a text in their name, and those above them.

import { level } from "./lines.js";

const WAIT_MS = 100;

export class Filter {
  constructor(root, lines, trying) {
    this.lines = lines;
    this.field = root.querySelector("[data-filter]");
    this.said = root.querySelector("[data-filtered]");
    this.field.hidden = false;
    this.field.addEventListener("input", () => {
      clearTimeout(this.due);
      this.due = setTimeout(() => trying(this.#apply()), WAIT_MS);
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.field.value = "";
      if (event.key !== "Escape" && event.key !== "Enter" && event.key !== "ArrowDown") return;
      event.preventDefault();
      trying(this.#apply().then(() => this.#leave()));
    });
  }

  #leave() {
    const shown = this.lines.shown();
    const row = shown.find((each) => each.matches(".matches")) ?? shown[0];
    if (row) this.lines.focus(row);
  }

  // Once more, as there are other lines now.
  renew() {
    return this.field.value.trim() ? this.#apply() : null;
  }

  begin() {
    this.field.focus();
    this.field.select();
  }

  async #apply() {
    clearTimeout(this.due);
    const wanted = this.field.value.trim().toLowerCase();
    for (const row of this.lines.root.querySelectorAll(":scope > .matches")) row.classList.remove("matches");
    if (!wanted) {
      this.said.textContent = "";
      return this.lines.keep(null);
    }
    await this.lines.unfoldAll();
    return this.#show(wanted);
  }

  // From the bottom up: a line above one that is kept, and less deep, is its parent.
  #show(wanted) {
    const kept = new Set();
    let found = 0;
    let above = 0; // the level below which the next line is wanted as a parent
    for (const row of this.lines.all.reverse()) {
      const matches = !row.matches(".fold") && row.textContent.toLowerCase().includes(wanted);
      if (matches) {
        row.classList.add("matches");
        found += 1;
      }
      if (matches || level(row) < above) {
        kept.add(row);
        above = level(row);
      }
    }
    const said = found === 1 ? "1 span" : `${found} spans`;
    if (this.said.textContent !== said) this.said.textContent = said; // it is read out
    this.lines.keep(kept);
  }
}
