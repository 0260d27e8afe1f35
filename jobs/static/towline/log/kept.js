// How a reader likes the log, kept in the browser from page to page. Where that is forbidden: for this page alone.

const PREFIX = "towline.log.";
const here = new Map();

// The value under that name, or null; with `value`: keeps it.
export function kept(name, value) {
  if (value !== undefined) here.set(name, value);
  try {
    if (value !== undefined) localStorage.setItem(PREFIX + name, value);
    return here.get(name) ?? localStorage.getItem(PREFIX + name);
  } catch {
    return here.get(name) ?? null;
  }
}
