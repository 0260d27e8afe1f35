// The keyboard. Letters work wherever nothing else has the focus, moving about where the lines have it.

const KEPT_LINES = 2; // of a page, still seen after the next one

export function listen(panel, tools, finder) {
  const { view } = panel;
  const page = () => view.box.clientHeight - KEPT_LINES * view.lineHeight;
  const click = (name) => () => panel.part(name).click();
  const large = () => panel.root.classList.contains("large");
  const letters = {
    "/": () => finder.focus(),
    n: () => finder.go(false),
    N: () => finder.go(true),
    g: () => panel.part("line").focus(),
    ":": () => panel.part("line").focus(),
    f: () => panel.toggle(),
    w: click("wrap"),
    t: () => tools.nextTimes(),
    c: click("copy"),
    z: click("large"),
    "?": click("help"),
  };
  const moves = {
    ArrowUp: () => view.scrollBy(-view.lineHeight),
    ArrowDown: () => view.scrollBy(view.lineHeight),
    PageUp: () => view.scrollBy(-page()),
    PageDown: () => view.scrollBy(page()),
    " ": () => view.scrollBy(page()),
    Home: () => panel.toFirst(),
    End: () => panel.follow(),
    Escape: () => large() && panel.part("large").click(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { target } = event;
    if (target.closest("input, select, textarea, dialog")) return;
    if (target !== document.body && !panel.root.contains(target)) return;
    const act = letters[event.key] ?? (target === view.box || large() ? moves[event.key] : undefined);
    if (!act) return;
    event.preventDefault();
    act();
  });
}
