// The lines of a waterfall: which of them are shown, and which one has the keyboard. A line's level tells what is below it.

export class Lines {
  constructor(root) {
    this.root = root;
    this.closed = new Set(); // lines whose lower ones are hidden
    this.kept = null; // those that a filter leaves
    this.whole = false; // without folds
    this.onFetched = () => {};
  }

  get all() {
    return [...this.root.querySelectorAll(":scope > [role=row]")];
  }

  shown() {
    return this.all.filter((row) => !row.hidden);
  }

  // The line of a span, out of a fold if need be.
  async of(key) {
    if (!document.getElementById(`s-${key}`)) await this.unfoldAll();
    return document.getElementById(`s-${key}`);
  }

  // The one line that the tab key reaches.
  start(row) {
    for (const old of this.root.querySelectorAll(':scope > [tabindex="0"]')) old.tabIndex = -1;
    if (row) row.tabIndex = 0;
  }

  focus(row) {
    if (row.hidden) this.reveal(row);
    this.start(row);
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  }

  choose(key) {
    this.root.querySelector(":scope > .chosen")?.classList.remove("chosen");
    document.getElementById(`s-${key}`)?.classList.add("chosen");
  }

  isOpen(row) {
    return row.getAttribute("aria-expanded") === "true";
  }

  opens(row) {
    return row.hasAttribute("aria-expanded");
  }

  async open(row) {
    if (isFolded(row)) await this.#unfold(row);
    this.closed.delete(row);
    this.arrange();
  }

  close(row) {
    this.closed.add(row);
    this.arrange();
  }

  toggle(row) {
    if (!this.opens(row)) return null;
    return this.isOpen(row) ? this.close(row) : this.open(row);
  }

  // Down to the attempts and what they did: the upper levels stay.
  closeAll() {
    for (const row of this.all) if (this.opens(row) && level(row) >= 3) this.closed.add(row);
    this.arrange();
  }

  async openAll() {
    await this.unfoldAll();
    this.closed.clear();
    this.arrange();
  }

  parent(row) {
    for (let above = row.previousElementSibling; above; above = above.previousElementSibling)
      if (above.role === "row" && level(above) < level(row)) return above;
    return null;
  }

  reveal(row) {
    for (let above = this.parent(row); above; above = this.parent(above)) this.closed.delete(above);
    this.arrange();
  }

  // Every span with a line of its own: in one go, and as the server draws them then.
  async unfoldAll() {
    if (!this.all.some(isFolded)) return;
    const at = this.root.querySelector(':scope > [tabindex="0"]')?.id;
    const held = await part({});
    this.root.replaceChildren(held);
    this.whole = true;
    this.closed.clear();
    this.start(document.getElementById(at) ?? this.all[0]);
    this.arrange();
    this.onFetched();
  }

  // The span whose line has the keyboard; empty for a fold.
  at() {
    return this.root.querySelector(':scope > [tabindex="0"][id^="s-"]')?.id.slice(2) ?? "";
  }

  // Of each fold that is open, the span that it is named by.
  unfolded() {
    return [...this.root.querySelectorAll(":scope > [data-unfolded]")].map((row) => row.id.slice(2));
  }

  keep(rows) {
    this.kept = rows;
    this.arrange();
  }

  // A fold's lines are fetched when they are wanted.
  async #unfold(row) {
    row.ariaBusy = "true";
    const held = await part({ fold: row.id.slice(2) });
    if (isFolded(row)) row.after(held);
    row.dataset.unfolded = "";
    row.ariaBusy = null;
    this.onFetched();
  }

  // One pass from top to bottom: what is below a closed line is hidden.
  arrange() {
    let closedAt = Infinity;
    for (const row of this.all) {
      const at = level(row);
      if (at <= closedAt) closedAt = Infinity;
      const hidden = this.kept ? !this.kept.has(row) : closedAt < Infinity;
      if (row.hidden !== hidden) row.hidden = hidden;
      if (!this.opens(row)) continue;
      const closed = this.closed.has(row) || isFolded(row);
      row.setAttribute("aria-expanded", String(!closed));
      if (closed && closedAt === Infinity) closedAt = at;
    }
  }
}

export const level = (row) => Number(row.ariaLevel);
const isFolded = (row) => row.matches(".fold:not([data-unfolded])");

async function part(wanted) {
  const address = new URL(window.location.href);
  for (const [name, value] of Object.entries({ part: "lines", ...wanted })) address.searchParams.set(name, value);
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) throw new Error(`HTTP ${answer.status}`);
  const held = document.createElement("template");
  held.innerHTML = await answer.text();
  return held.content;
}
