// Small helpers for building elements. Text always arrives through text nodes, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element: `h("button", {class: "x", onclick}, "text", child)`. `null` and `false` are left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name === "className" ? "class" : name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function icon(name, extra = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${extra}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function iconButton(name, label, onclick, props = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...props }, icon(name));
}

/** Buttons of which one is chosen: `{element, choose(index)}`. */
export function segmented(label, choices) {
  const buttons = choices.map(([name, run]) => h("button", { type: "button", "aria-pressed": "false", onclick: run }, name));
  const element = h("div", { class: "segmented", role: "group", "aria-label": label }, ...buttons);
  const choose = (chosen) => buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(index === chosen)));
  choose(0);
  return { element, choose, buttons };
}

/** Says something to a screen reader without showing it. */
export function announce(text) {
  byId("announcer").textContent = text;
}

/** A short note at the edge of the page. `bad` ones stay until closed or 10 s, others 4 s. */
export function toast(text, { bad = false } = {}) {
  const note = h("div", { class: bad ? "toast toast-bad" : "toast" }, icon(bad ? "warn" : "check"), h("span", {}, text));
  note.append(iconButton("close", "Dismiss", () => note.remove()));
  byId("toasts").append(note);
  setTimeout(() => note.remove(), bad ? 10_000 : 4_000);
}

/** Copies, and lets the button say so for a moment. */
export async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Clipboard access needs https or localhost; a selection does not.
    const area = h("textarea", { class: "sr-only" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  announce("Copied");
  if (!button) return;
  button.dataset.copied = "true";
  setTimeout(() => delete button.dataset.copied, 1600);
}

/** Hands a blob to the reader as a file. */
export function download(blob, filename) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: filename }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Asks in a dialog. Resolves to null when dismissed, else to true, or to the text of its field when `value` is given. */
export function ask({ title, text = "", confirm, danger = false, value = null, label = "" }) {
  const dialog = byId("dialog");
  const field = value === null ? null : h("input", { id: "dialog-field", "aria-label": label, maxlength: "200", required: true });
  if (field) field.value = value;
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "dialog-title" }, title),
    text ? h("p", {}, text) : null,
    field,
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { type: "button", class: "secondary", onclick: () => dialog.close("") }, "Cancel"),
      h("button", { type: "submit", class: danger ? "primary danger" : "primary", value: "yes" }, confirm),
    ),
  );
  dialog.replaceChildren(form);
  dialog.returnValue = "";
  return new Promise((resolve) => {
    dialog.onclose = () => {
      const agreed = dialog.returnValue === "yes";
      resolve(agreed ? (field ? field.value.trim() || null : true) : null);
    };
    dialog.onclick = (event) => {
      if (event.target === dialog) dialog.close("");
    };
    dialog.showModal();
    if (field) field.select();
  });
}

/**
 * A menu under a button: `items` are `{icon, label, hint, danger, run}`. Esc, an outside click and Tab close it.
 * Items with `checked()` are switched on and off and leave it open.
 */
export function openMenu(button, items) {
  const menu = byId("menu");
  const close = () => menu.hidePopover();
  const check = () => items.forEach((item, index) => item.checked && menu.children[index].setAttribute("aria-checked", String(item.checked())));
  const run = (item) => {
    if (!item.checked) close();
    item.run();
    check();
  };
  menu.replaceChildren(
    ...items.map((item) =>
      h(
        "button",
        { type: "button", role: item.checked ? "menuitemcheckbox" : "menuitem", class: item.danger ? "danger" : "", onclick: () => run(item) },
        icon(item.icon),
        h("span", { class: "menu-label" }, item.label),
        item.hint ? h("span", { class: "menu-hint" }, item.hint) : null,
        item.checked ? icon("check", "menu-check") : null,
      ),
    ),
  );
  check();
  menu.onkeydown = (event) => {
    const all = [...menu.children];
    const at = all.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      all.at(next % all.length).focus();
    } else if (event.key === "Tab") close();
  };
  button.setAttribute("aria-expanded", "true");
  menu.ontoggle = (event) => {
    if (event.newState !== "closed") return;
    button.setAttribute("aria-expanded", "false");
    if (menu.contains(document.activeElement) || document.activeElement === document.body) button.focus();
  };
  menu.showPopover();
  const at = button.getBoundingClientRect();
  const top = at.bottom + menu.offsetHeight + 8 > innerHeight ? at.top - menu.offsetHeight - 4 : at.bottom + 4;
  menu.style.top = `${Math.max(8, top)}px`;
  menu.style.left = `${Math.max(8, Math.min(at.right - menu.offsetWidth, innerWidth - menu.offsetWidth - 8))}px`;
  menu.firstElementChild.focus();
}
