// Lines as the server draws them now, in the place of those that are shown. A line stays the element that it was: so the
// keyboard stays on it, the pointer, what is closed below it, and the place that is scrolled to.

export function merge(lines, fresh) {
  const rows = [...fresh.children].filter((each) => each.role === "row");
  const stay = new Set(rows.map((row) => row.id));
  const focused = lines.root.contains(document.activeElement);
  const start = lastThatStays(lines.root.querySelector(':scope > [tabindex="0"]'), stay);
  inPlace(lines, stay, start, () => {
    for (const row of lines.all) if (!stay.has(row.id)) row.remove();
    let at = lines.root.firstElementChild;
    for (const row of rows) {
      const known = document.getElementById(row.id);
      const own = known ? renewed(known, row) : document.importNode(row, true);
      if (own === at) at = at.nextElementSibling;
      else lines.root.insertBefore(own, at);
    }
    lines.arrange();
  });
  if (!lines.root.querySelector(':scope > [tabindex="0"]')) lines.start(start ?? lines.shown()[0]);
  if (focused && !lines.root.contains(document.activeElement))
    lines.root.querySelector(':scope > [tabindex="0"]')?.focus({ preventScroll: true });
}

// That line, or the next one above it.
function lastThatStays(row, stay) {
  while (row && !stay.has(row.id)) row = row.previousElementSibling;
  return row;
}

// What is in sight stays where it is.
function inPlace(lines, stay, start, act) {
  const field = lines.root.closest("[data-field]");
  const { top, bottom } = field.getBoundingClientRect();
  const inSight = (row) => row.getBoundingClientRect().bottom > top && row.getBoundingClientRect().top < bottom;
  const held = field.scrollTop > 0 && (start && !start.hidden && inSight(start) ? start : lines.shown().find((row) => stay.has(row.id) && inSight(row)));
  const before = held && held.getBoundingClientRect().top;
  act();
  if (held) field.scrollTop += held.getBoundingClientRect().top - before;
}

function renewed(row, fresh) {
  const own = ["chosen", "matches"].filter((name) => row.classList.contains(name));
  const classes = [fresh.className, ...own].join(" ");
  if (row.className !== classes) row.className = classes;
  if (row.ariaLevel !== fresh.ariaLevel) row.ariaLevel = fresh.ariaLevel;
  if (!fresh.hasAttribute("aria-expanded")) row.removeAttribute("aria-expanded");
  else if (!row.hasAttribute("aria-expanded")) row.setAttribute("aria-expanded", "true");
  row.toggleAttribute("data-unfolded", fresh.hasAttribute("data-unfolded"));
  for (const [number, cell] of [...fresh.children].entries())
    if (!cell.isEqualNode(row.children[number])) row.children[number].replaceWith(document.importNode(cell, true));
  return row;
}
