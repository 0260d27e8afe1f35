// What the viewer says, in words.

export function counted(count, thing = "line") {
  return count === 1 ? `1 ${thing}` : `${count.toLocaleString("en")} ${thing}s`;
}

export function ending({ state, exit_code, verdict, lines, complete }) {
  const code = exit_code === null ? "" : `, exit code ${exit_code}`;
  const why = verdict ? `: ${verdict.code}` : "";
  const whole = complete === false ? ", with gaps" : complete ? ", complete" : "";
  return `End: ${state}${why}${code}. ${counted(lines)}${whole}.`;
}

// "+3.2 s", "+1:02.3", "+2:01:02.3" behind the start.
export function since(start, time) {
  const seconds = Math.max(0, (Date.parse(time) - Date.parse(start)) / 1000);
  if (seconds < 60) return `+${seconds.toFixed(3)}`;
  const two = (value) => String(Math.floor(value)).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = (seconds % 3600) / 60;
  const rest = (seconds % 60).toFixed(1).padStart(4, "0");
  return hours ? `+${hours}:${two(minutes)}:${rest}` : `+${Math.floor(minutes)}:${rest}`;
}

// Only when it is new: a live region repeats what is set again.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
