// The tools around the lines: how lines look, which are shown, going to one, linking to some.

import { kept } from "./kept.js";
import { hashOf, ofHash, ofTyped, span } from "./place.js";
import { showWhole } from "./row.js";
import { put } from "./words.js";

const SAID_MS = 2000;

export class Tools {
  constructor(panel) {
    this.panel = panel;
    this.part = panel.part;
    const { box } = panel.view;
    this.switch("wrap", kept("wrap") !== "false", (on) => {
      kept("wrap", String(on));
      box.classList.toggle("wrap", on);
      panel.view.restyled();
    });
    this.switch("large", false, (on) => {
      panel.root.classList.toggle("large", on);
      document.documentElement.classList.toggle("log-large", on);
    });
    this.times();
    this.part("stream").addEventListener("change", (event) => panel.filter(event.target.value));
    this.part("line").addEventListener("keydown", (event) => this.lineKey(event));
    this.part("first").addEventListener("click", () => panel.toFirst());
    this.part("copy").addEventListener("click", () => this.copy());
    this.part("help").addEventListener("click", () => this.part("keys").showModal());
    panel.view.list.addEventListener("click", (event) => this.clicked(event));
    window.addEventListener("hashchange", () => this.named() && panel.goTo(this.named()));
  }

  // The lines that the address names, or null.
  named() {
    return ofHash(window.location.hash);
  }

  // --- how lines look -------------------------------------------------------------------------------------------------

  // A button that is on or off; `act(on)` is called now, too.
  switch(name, on, act) {
    const button = this.part(name);
    const set = (yes) => {
      button.setAttribute("aria-pressed", String(yes));
      act(yes);
    };
    button.addEventListener("click", () => set(button.getAttribute("aria-pressed") !== "true"));
    set(on);
  }

  times() {
    const choice = this.part("times");
    choice.value = ["utc", "since"].includes(kept("times")) ? kept("times") : "off";
    const show = () => this.panel.view.renew({ times: choice.value, start: this.panel.text.start });
    this.panel.view.look.times = choice.value;
    choice.addEventListener("change", async () => {
      kept("times", choice.value);
      // An attempt that began while we looked on did not say when.
      if (choice.value === "since" && !this.panel.text.start) await this.panel.learn();
      show();
    });
  }

  nextTimes() {
    const choice = this.part("times");
    choice.selectedIndex = (choice.selectedIndex + 1) % choice.options.length;
    choice.dispatchEvent(new Event("change"));
  }

  // --- going to lines, and linking to them ----------------------------------------------------------------------------

  lineKey(event) {
    if (event.key === "Escape") this.panel.view.box.focus({ preventScroll: true });
    if (event.key !== "Enter") return;
    event.preventDefault();
    const place = ofTyped(event.target.value);
    event.target.toggleAttribute("aria-invalid", !place);
    if (!place) return;
    event.target.value = "";
    this.point(place);
    this.panel.goTo(place);
    this.panel.view.box.focus({ preventScroll: true });
  }

  async clicked(event) {
    const { view, text } = this.panel;
    const number = event.target.closest("a[data-n]");
    const rest = event.target.closest("[data-whole]");
    if (rest) showWhole(rest.closest(".line"), await text.whole(Number(rest.dataset.whole)));
    if (!number || event.ctrlKey || event.metaKey) return;
    event.preventDefault(); // the browser would scroll the page
    const n = Number(number.dataset.n);
    this.point(event.shiftKey && view.told ? span(view.told.first, n) : span(n, n));
    this.panel.hold();
    view.draw();
  }

  point(place) {
    this.panel.view.told = place;
    history.replaceState(null, "", hashOf(place));
  }

  // An address that shows the same lines of the same attempt, also after a retry.
  async copy() {
    const { panel } = this;
    const address = new URL(window.location.href);
    if (panel.root.dataset.page === address.pathname && panel.attempt) address.searchParams.set("attempt", panel.attempt);
    address.hash = hashOf(panel.view.told ?? span(panel.view.firstSeen, panel.view.firstSeen));
    await navigator.clipboard.writeText(address.href).then(
      () => this.say("Copied"),
      () => this.say(address.href),
    );
  }

  say(text) {
    put(this.part("copy"), text);
    clearTimeout(this.saying);
    this.saying = setTimeout(() => put(this.part("copy"), "Copy link"), SAID_MS);
  }
}
