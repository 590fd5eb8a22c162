// The frame around everything: the sidebar, beside the page or over it on a phone, and light or dark.

import { announce, byId } from "./dom.js";

const narrow = matchMedia("(max-width: 860px)");

/** Whether the sidebar lies over the page and is in the way of whatever else is opened. */
export function sidebarCovers() {
  return narrow.matches && document.body.dataset.sidebar === "open";
}

/** Closes the sidebar where it lies over the page; beside the page it stays. */
export function uncover() {
  if (sidebarCovers()) showSidebar(false);
}

function showSidebar(visible) {
  document.body.dataset.sidebar = visible ? "open" : "closed";
  byId("sidebar-open").setAttribute("aria-expanded", String(visible));
  byId("scrim").hidden = !(visible && narrow.matches);
  byId("sidebar").inert = !visible;
  byId("center").inert = visible && narrow.matches;
  if (visible && narrow.matches) byId("sidebar-close").focus();
  else if (narrow.matches && document.body.dataset.view === "main") byId("sidebar-open").focus();
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  announce(dark ? "Light colours" : "Dark colours");
  try {
    localStorage.setItem("hearth.theme", root.dataset.theme);
  } catch {
    // storage switched off: the choice lasts as long as the page
  }
}

export function wireShell() {
  byId("theme-toggle").addEventListener("click", toggleTheme);
  byId("sidebar-open").addEventListener("click", () => showSidebar(narrow.matches ? true : document.body.dataset.sidebar === "closed"));
  byId("sidebar-close").addEventListener("click", () => showSidebar(false));
  byId("scrim").addEventListener("click", () => showSidebar(false));
  narrow.addEventListener("change", () => showSidebar(!narrow.matches));
  showSidebar(!narrow.matches);
}
