// Start, sign-in, views and the life of a request. Everything the page knows is in `state`.

import { Api } from "./api.js";
import { Asking } from "./asking.js";
import { Composer } from "./composer.js";
import { Documents } from "./documents.js";
import { announce, byId, toast } from "./dom.js";
import { HealthWatch } from "./health.js";
import { Panel } from "./panel.js";
import { Sidebar } from "./sidebar.js";
import { createState, fromStored, newSession } from "./state.js";
import { Thread } from "./thread.js";
import { DocumentReader, parseViewerPath, viewerPath } from "./viewer.js";

const narrow = matchMedia("(max-width: 860px)");

const state = createState();
/** Sessions with a running answer that the reader has left, by id. */
const background = new Map();
let api;
let thread;
let composer;
let sidebar;
let documents;
let panel;
let viewer;
let asking;
let health;

// ---- start -------------------------------------------------------------------------------------

async function start() {
  restoreChoices();
  api = new Api({ base: await backendAddress(), storage: sessionStorage, onSignedOut: () => showSignIn("Your session has ended. Sign in again; what you typed is kept.") });
  panel = new Panel(() => byId("documents-open").setAttribute("aria-expanded", String(panel.kind === "documents")));
  thread = new Thread(state, {
    onCite: openSource,
    onRegenerate: (exchange) => asking.again(exchange),
    onSuggest: (text) => {
      composer.text = text;
      composer.field.focus();
    },
    onUpload: () => byId("file-input").click(),
    onRetryLoad: () => openConversation(state.session.id),
  });
  composer = new Composer(state, { onSend: (text) => asking.send(text), onStop: () => state.session.stream?.abort(), onFiles: (files) => documents.add(files) });
  sidebar = new Sidebar(state, api, { onOpen: (id) => (location.hash = `#/c/${encodeURIComponent(id)}`), onDeleted: forget, onRenamed: renamed });
  documents = new Documents(state, api, panel, {
    onOpen: (item) => openSource({ file_id: item.file_id, filename: item.filename, page: 1 }),
    onChanged: () => {
      composer.drawChips((upload) => documents.dismiss(upload));
      if (thread.root.classList.contains("is-empty")) thread.draw();
    },
  });
  viewer = new DocumentReader(api, {
    onClose: () => (history.state?.fromChat ? history.back() : go("/")),
    onPage: (fileId, page) => history.replaceState(history.state, "", viewerPath(fileId, page)),
  });
  byId("viewer").replaceChildren(viewer.element);
  asking = new Asking(state, api, askingHooks);
  health = new HealthWatch(state, api, () => api.signedIn && Promise.all([sidebar.load(), documents.load(), loadModels()]));
  wire();
  health.check();
  if (api.signedIn) await enter();
  else showSignIn();
}

/** The page may be served apart from its server; then a small file names the server. */
async function backendAddress() {
  try {
    const response = await fetch("/config.json", { cache: "no-store" });
    const { backend } = await response.json();
    return typeof backend === "string" ? backend.replace(/\/+$/, "") : "";
  } catch {
    return "";
  }
}

function restoreChoices() {
  try {
    state.model = localStorage.getItem("hearth.model") ?? state.model;
    const agent = localStorage.getItem("hearth.agent");
    if (["auto", "chat", "react", "plan_execute"].includes(agent)) state.agent = agent;
  } catch {
    // storage switched off
  }
}

function wire() {
  byId("signin-form").addEventListener("submit", signIn);
  byId("password-toggle").addEventListener("click", (event) => {
    const field = byId("password");
    const show = field.type === "password";
    field.type = show ? "text" : "password";
    event.currentTarget.textContent = show ? "Hide" : "Show";
    event.currentTarget.setAttribute("aria-pressed", String(show));
  });
  for (const id of ["new-chat", "topbar-new", "brand"]) {
    byId(id).addEventListener("click", (event) => {
      event.preventDefault();
      startNew();
    });
  }
  byId("documents-open").addEventListener("click", () => {
    if (panel.kind === "documents") return panel.close();
    if (narrow.matches) showSidebar(false);
    return documents.open();
  });
  byId("signout").addEventListener("click", signOut);
  byId("theme-toggle").addEventListener("click", toggleTheme);
  byId("sidebar-open").addEventListener("click", () => showSidebar(narrow.matches ? true : document.body.dataset.sidebar === "closed"));
  byId("sidebar-close").addEventListener("click", () => showSidebar(false));
  byId("scrim").addEventListener("click", () => showSidebar(false));
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    composer.field.focus();
  });
  narrow.addEventListener("change", () => showSidebar(!narrow.matches));
  showSidebar(!narrow.matches);
  addEventListener("popstate", route);
  addEventListener("keydown", escape);
  document.addEventListener("click", followInside);
  wireDrop();
}

function escape(event) {
  if (event.key !== "Escape" || byId("dialog").open) return;
  if (narrow.matches && document.body.dataset.sidebar === "open") showSidebar(false);
  else if (panel.kind) panel.close();
}

/** Links of answers to this server's documents open in the reader, without leaving the page. */
function followInside(event) {
  const link = event.target.closest?.(".md a[href]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const url = new URL(link.href, location.href);
  if (url.origin !== location.origin && url.origin !== api.base) return;
  const place = parseViewerPath(url.pathname, url.hash);
  if (!place) return;
  event.preventDefault();
  openSource({ file_id: place.fileId, page: place.page });
}

function wireDrop() {
  const drop = byId("drop");
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files") && document.body.dataset.view === "main";
  const show = (visible) => (drop.hidden = !visible);
  addEventListener("dragenter", (event) => hasFiles(event) && show(++depth > 0));
  addEventListener("dragleave", (event) => hasFiles(event) && show(--depth > 0));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    documents.add([...event.dataTransfer.files]);
  });
}

// ---- signing in and out ------------------------------------------------------------------------

function showSignIn(reason = null) {
  document.body.dataset.view = "signin";
  byId("signin").hidden = false;
  byId("shell").hidden = true;
  const lead = byId("signin-lead");
  if (reason) lead.textContent = reason;
  byId("password").value = "";
  (byId("username").value ? byId("password") : byId("username")).focus();
}

async function signIn(event) {
  event.preventDefault();
  const button = byId("signin-submit");
  const problem = byId("signin-error");
  const username = byId("username").value.trim();
  const password = byId("password").value;
  problem.hidden = true;
  if (!username || !password) {
    problem.textContent = "Enter your user name and your password.";
    problem.hidden = false;
    return;
  }
  button.disabled = true;
  try {
    await api.signIn(username, password);
    byId("password").value = "";
    await enter();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
    byId("password").select();
  } finally {
    button.disabled = false;
  }
}

/** A signed-in user sees the page. What another user left on it is gone; the same user finds it as it was. */
async function enter() {
  const { user } = api;
  if (state.user && state.user.id !== user?.id) clear();
  const first = !state.user;
  state.user = user;
  byId("signin").hidden = true;
  byId("shell").hidden = false;
  document.body.dataset.view = "main";
  byId("user-name").textContent = user?.username ?? "";
  byId("user-initial").textContent = (user?.username ?? "?").slice(0, 1).toUpperCase();
  composer.drawModels();
  composer.draw();
  if (first || !state.session.exchanges.length) route();
  composer.focus();
  await Promise.all([sidebar.load(), documents.load(), loadModels()]);
}

async function loadModels() {
  try {
    state.models = await api.models();
    composer.drawModels();
  } catch (error) {
    if (error.status !== 401) toast(error.message, { bad: true });
  }
}

async function signOut() {
  for (const session of [state.session, ...background.values()]) session.stream?.abort();
  await api.signOut();
  clear();
  state.user = null;
  byId("signin-lead").textContent = "Sign in to talk to your own models and documents.";
  showSignIn();
}

function clear() {
  documents.reset();
  panel.close();
  background.clear();
  const fresh = createState();
  for (const key of ["conversations", "documents", "uploads", "session", "models"]) state[key] = fresh[key];
  composer.text = "";
  sidebar.draw();
  history.replaceState(null, "", "/");
}

// ---- where we are ------------------------------------------------------------------------------

function go(path, historyState = null) {
  history.pushState(historyState, "", path);
  route();
}

function route() {
  if (!api.signedIn) return;
  const place = parseViewerPath(location.pathname, location.hash);
  byId("viewer").hidden = !place;
  byId("chat").hidden = Boolean(place);
  if (place) {
    panel.close();
    title("Document");
    viewer.total = undefined;
    viewer.show({ ...place, ...(history.state?.place ?? {}), ...place });
    return;
  }
  const id = /^#\/c\/([^/]+)$/.exec(location.hash)?.[1];
  if (id && decodeURIComponent(id) !== state.session.id) openConversation(decodeURIComponent(id));
  else if (!id && state.session.id) show(newSession());
  else {
    if (!thread.root.childElementCount) thread.draw();
    title(state.session.title);
  }
}

function title(text) {
  byId("title").textContent = text || "New chat";
  document.title = text ? `${text} · Hearth` : "Hearth";
}

/** Makes `session` the one on the page. An answer running in the old one goes on. */
function show(session) {
  const old = state.session;
  if (old.stream && old.id) background.set(old.id, old);
  state.session = session;
  if (session.id) background.delete(session.id);
  title(session.title);
  thread.draw();
  sidebar.draw();
  composer.draw();
  if (panel.kind === "source") panel.close();
  if (narrow.matches && document.body.dataset.sidebar === "open") showSidebar(false);
}

function startNew() {
  if (location.pathname !== "/" || location.hash) history.pushState(null, "", "/");
  byId("viewer").hidden = true;
  byId("chat").hidden = false;
  show(newSession());
  composer.focus();
}

async function openConversation(id) {
  const running = background.get(id);
  if (running) return show(running);
  const known = state.conversations.items.find((each) => each.session_id === id);
  const session = newSession(id, known?.title ?? "");
  session.loading = true;
  show(session);
  try {
    const stored = await api.conversation(id);
    session.title = stored.title ?? session.title;
    session.exchanges = fromStored(stored.messages);
  } catch (error) {
    session.error = error.status === 404 ? "This conversation is not there any more. Start a new chat." : error.message;
  }
  session.loading = false;
  if (state.session !== session) return undefined;
  title(session.title);
  return thread.draw();
}

function forget(id) {
  background.get(id)?.stream?.abort();
  background.delete(id);
  if (state.session.id !== id) return;
  state.session.stream?.abort();
  startNew();
}

function renamed(id, text) {
  if (state.session.id !== id) return;
  state.session.title = text;
  title(text);
}

function openSource(citation) {
  if (!citation.file_id) return;
  const reader = new DocumentReader(api, {
    onClose: () => panel.close(),
    onExpand: (place) => go(viewerPath(place.fileId, place.page), { fromChat: true, place }),
  });
  panel.open("source", reader.element);
  reader.show({ fileId: citation.file_id, page: citation.page ?? 1, quote: citation.quote ?? null, filename: citation.filename ?? null });
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

// ---- asking ------------------------------------------------------------------------------------

const askingHooks = {
  onAdded(exchange) {
    title(state.session.title);
    thread.add(exchange);
    state.uploads = state.uploads.filter((upload) => !["ready", "failed"].includes(upload.status));
    composer.drawChips((upload) => documents.dismiss(upload));
  },
  onSwapped(exchange) {
    thread.swap(exchange);
    thread.toEnd(true);
  },
  onRemoved: (exchange) => thread.remove(exchange),
  onUnanswered: (text) => (composer.text = [text, composer.text].filter(Boolean).join("\n")),
  onUnreachable: () => health.check(),
  onStarted: () => composer.draw(),
  onGrowing: (session, exchange) => state.session === session && thread.refresh(exchange),
  onNamed(session) {
    if (state.session !== session) background.set(session.id, session);
    else if (!byId("chat").hidden) history.replaceState(null, "", `/#/c/${encodeURIComponent(session.id)}`);
    sidebar.put(session, Date.now() / 1000);
  },
  onEnded(session, exchange, answer) {
    background.delete(session.id);
    if (state.session === session) {
      thread.refreshNow(exchange);
      composer.draw();
      if (answer.status === "complete") announce("The answer is complete.");
    }
    if (api.signedIn) sidebar.load();
  },
};

start();
