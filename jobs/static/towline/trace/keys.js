// The waterfall by keyboard and mouse, as a tree grid is used: one line has the focus, arrows move it.

export function listen(lines, details, filter, trying) {
  const moves = {
    ArrowDown: (row) => near(row, 1),
    ArrowUp: (row) => near(row, -1),
    PageDown: (row) => near(row, 15),
    PageUp: (row) => near(row, -15),
    Home: () => lines.shown()[0],
    End: () => lines.shown().at(-1),
  };

  function near(row, by) {
    const shown = lines.shown();
    return shown[Math.max(0, Math.min(shown.length - 1, shown.indexOf(row) + by))];
  }

  function right(row) {
    if (lines.opens(row) && !lines.isOpen(row)) trying(lines.open(row));
    else if (lines.opens(row)) lines.focus(near(row, 1));
  }

  function left(row) {
    if (lines.isOpen(row)) lines.close(row);
    else if (lines.parent(row)) lines.focus(lines.parent(row));
  }

  function enter(row) {
    if (!row.id.startsWith("s-")) return trying(lines.toggle(row));
    const key = row.id.slice(2);
    lines.choose(key);
    return trying(details.pin(key, true));
  }

  const acts = { ArrowRight: right, ArrowLeft: left, Enter: enter, " ": enter };

  lines.root.addEventListener("keydown", (event) => {
    const row = event.target.closest("[role=row]");
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const move = moves[event.key];
    const act = acts[event.key];
    if (!move && !act) return;
    event.preventDefault();
    if (move) {
      lines.focus(move(row));
      details.peekAt(lines.root.querySelector(':scope > [tabindex="0"]'));
    } else act(row);
  });

  lines.root.addEventListener("click", (event) => {
    const row = event.target.closest("[role=row]");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    lines.focus(row);
    if (event.target.closest("i")) trying(lines.toggle(row));
    else enter(row);
  });

  lines.root.addEventListener("focusin", (event) => {
    const row = event.target.closest("[role=row]");
    if (row) lines.start(row);
  });
  lines.root.addEventListener("mouseover", (event) => details.peek(event));
  lines.root.addEventListener("mouseleave", () => details.hide());
  lines.root.addEventListener("focusout", () => details.hide());
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea")) return;
    if (event.key === "/") {
      event.preventDefault();
      filter.begin();
    } else if (event.key === "Escape") {
      details.hide();
      lines.root.querySelector(':scope > [tabindex="0"]')?.focus();
    }
  });
}
