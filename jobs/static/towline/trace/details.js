// What is known of a span: in a card beside the line that is pointed at, and in the panel below for the one that is chosen.

const WAIT_MS = 120;
const KEPT_MOST = 500;
const GAP = 14;

export class Details {
  constructor(panel, goTo) {
    this.panel = panel;
    this.known = new Map(); // by a span's key: the server's HTML
    this.card = document.createElement("aside");
    this.card.className = "panel card details";
    this.card.setAttribute("role", "status");
    this.card.hidden = true;
    document.body.append(this.card);
    panel.addEventListener("click", (event) => {
      const link = event.target.closest("[data-goto]");
      if (!link || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      goTo(link.dataset.goto);
    });
  }

  peek(event) {
    const row = event.target.closest("[role=row]");
    row?.querySelector("title")?.remove(); // the card tells more
    this.peekAt(row, event);
  }

  peekAt(row, pointer) {
    if (row === this.row) return;
    this.hide();
    if (!row?.id.startsWith("s-")) return;
    this.row = row;
    this.due = setTimeout(() => this.#tell(row, pointer).catch(() => this.hide()), WAIT_MS);
  }

  hide() {
    clearTimeout(this.due);
    this.row = null;
    this.card.hidden = true;
  }

  async pin(key, move = false) {
    this.hide();
    const told = await this.#fetch(key);
    this.panel.replaceChildren(...told);
    if (move) this.panel.focus({ preventScroll: true });
    this.panel.scrollIntoView({ block: "nearest" });
    const address = new URL(window.location.href);
    address.searchParams.set("span", key);
    window.history.replaceState(null, "", address);
  }

  // The chosen span as it is now; what somebody reads with the keyboard, or selects, stays.
  renew(fresh) {
    this.known.clear();
    this.row?.querySelector("title")?.remove();
    const read = this.panel !== document.activeElement && this.panel.contains(document.activeElement);
    const selected = !document.getSelection().isCollapsed && this.panel.contains(document.getSelection().anchorNode);
    if (!fresh || read || selected || this.panel.innerHTML === fresh.innerHTML) return;
    this.panel.replaceChildren(...document.importNode(fresh, true).childNodes);
  }

  async #tell(row, pointer) {
    const told = await this.#fetch(row.id.slice(2));
    if (this.row !== row) return;
    this.card.replaceChildren(...told);
    this.card.hidden = false;
    this.#place(row, pointer);
  }

  // Beside the pointer, or below the line that has the keyboard; within the window.
  #place(row, pointer) {
    const line = row.getBoundingClientRect();
    const { width, height } = this.card.getBoundingClientRect();
    const x = (pointer ? pointer.clientX : line.left + line.width / 3) + GAP;
    const below = line.bottom + 6;
    const y = below + height > window.innerHeight ? line.top - height - 6 : below;
    this.card.style.left = `${Math.max(12, Math.min(x, window.innerWidth - width - 12))}px`;
    this.card.style.top = `${Math.max(12, y)}px`;
  }

  async #fetch(key) {
    if (!this.known.has(key)) {
      if (this.known.size >= KEPT_MOST) this.known.clear();
      const address = new URL(window.location.href);
      address.searchParams.set("span", key);
      address.searchParams.set("part", "details");
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) throw new Error(`HTTP ${answer.status}`);
      this.known.set(key, await answer.text());
    }
    const page = new DOMParser().parseFromString(this.known.get(key), "text/html");
    return [...page.body.childNodes].map((node) => document.importNode(node, true));
  }
}
