// A viewer from its parts, in an element as the template _log.html makes it.

import { Finder } from "./finder.js";
import { listen } from "./keys.js";
import { LogPanel } from "./panel.js";
import { Tools } from "./tools.js";

const AGAIN_MS = 2000;

// `onState(data)` and `onEnd(data)` tell the page what the job's stream told.
export function openLog(root, { onState, onEnd }) {
  const panel = new LogPanel(root, { onState, onEnd });
  const tools = new Tools(panel);
  listen(panel, tools, new Finder(panel));
  const open = () =>
    panel.open(tools.named()).catch((error) => {
      panel.part("end").textContent = `The log can't be shown: ${error.message}. Trying again…`;
      setTimeout(open, AGAIN_MS);
    });
  open();
}
