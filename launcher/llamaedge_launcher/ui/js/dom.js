// Elements, made and found.

export const find = (id) => document.getElementById(id);

/** An element. `properties` are attributes, `on…` listeners and `class`; children are nodes or text. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Tells people who listen to the page what changed. */
export function say(text) {
  find("said").textContent = text;
}

export function toast(text, { action, run, seconds = 6 } = {}) {
  const element = h("div", { class: "toast", role: "status" }, h("span", {}, text));
  const place = find("toasts");
  const close = () => {
    if (!element.isConnected) return;
    element.remove();
    if (!place.childElementCount) place.hidePopover();
  };
  if (action) {
    const button = h("button", { type: "button", class: "link", onclick: () => { close(); run(); } }, action);
    element.append(button);
  }
  if (place.childElementCount) place.hidePopover();
  place.append(element);
  place.showPopover(); // above a window that is open
  setTimeout(close, seconds * 1000);
}

const SIZES = [[1e9, "GB", 1], [1e6, "MB", 0], [1e3, "kB", 0]];

/** Bytes as people read them. */
export function sizeText(bytes) {
  for (const [unit, name, digits] of SIZES) {
    if (bytes >= unit) return `${(bytes / unit).toFixed(bytes / unit < 10 ? Math.max(digits, 1) : digits)} ${name}`;
  }
  return `${bytes ?? 0} bytes`;
}

export const countText = (number, one, many = `${one}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** Onto the clipboard, which browsers give to pages over HTTPS and of the same machine alone. */
async function write(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const before = document.activeElement;
  const field = h("textarea", { class: "hidden", value: text, "aria-label": "To copy" });
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  before?.focus({ preventScroll: true });
  if (!copied) throw new Error("the browser does not copy");
}

export async function copy(text, button) {
  try {
    await write(text);
    say("Copied.");
    const label = button.getAttribute("aria-label");
    button.classList.add("done");
    button.setAttribute("aria-label", "Copied");
    setTimeout(() => { button.classList.remove("done"); button.setAttribute("aria-label", label); }, 1500);
  } catch {
    toast("The browser does not let this page copy. Select the text and copy it yourself.");
  }
}

/** Gives a file to the person to keep. */
export function save(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export const identity = () => crypto.randomUUID?.() ??
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
