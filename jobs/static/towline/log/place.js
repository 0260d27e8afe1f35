// Places in a log as words: `#L5` and `#L5-L9` in the address, `5` and `5-9` in the field.

const MOST_DIGITS = "\\d{1,15}";
const HASH = new RegExp(`^#L(${MOST_DIGITS})(?:-L?(${MOST_DIGITS}))?$`);
const TYPED = new RegExp(`^\\s*[#:L]*(${MOST_DIGITS})(?:\\s*[-–]\\s*L?(${MOST_DIGITS}))?\\s*$`, "i");

// {first, last} or null.
export function ofHash(hash) {
  return read(HASH.exec(hash));
}

export function ofTyped(text) {
  return read(TYPED.exec(text.replace(/(\d)[,_' ](?=\d{3})/g, "$1")));
}

export function hashOf({ first, last }) {
  return last > first ? `#L${first}-L${last}` : `#L${first}`;
}

// From the one to the other, whichever comes first.
export function span(one, other) {
  return { first: Math.min(one, other), last: Math.max(one, other) };
}

function read(found) {
  const one = Number(found?.[1]);
  return one ? span(one, Number(found[2]) || one) : null;
}
