// Start, who is signed in, and which view is on the page. Everything the page knows is in `state`.

import { Api } from "./api.js";
import { Artifacts } from "./artifacts.js";
import { Asking } from "./asking.js";
import { Composer } from "./composer.js";
import { Documents } from "./documents.js";
import { announce, byId, toast } from "./dom.js";
import { wireDrop } from "./drop.js";
import { HealthWatch } from "./health.js";
import { PagePictures } from "./page_picture.js";
import { Panel } from "./panel.js";
import { Runs } from "./runs.js";
import { sidebarCovers, uncover, wireShell } from "./shell.js";
import { Sidebar } from "./sidebar.js";
import { Scope } from "./scope.js";
import { SignIn } from "./signin.js";
import { createState, fromStored, newSession, parseConversationHash } from "./state.js";
import { Thread } from "./thread.js";
import { Tools } from "./tools.js";
import { parseRunHash } from "./trace.js";
import { DocumentReader, parseViewerPath, placeOf, viewerPath } from "./viewer.js";

const state = createState();
/** Sessions with a running answer that the reader has left, by id. */
const background = new Map();
/** Whether there is a page of this app behind the present one. */
let visited = false;
let api;
let thread;
let composer;
let sidebar;
let documents;
let panel;
let viewer;
let runs;
let asking;
let health;
let signin;
let tools;
let artifacts;
let pictures;
let scope;

// ---- start -------------------------------------------------------------------------------------

async function start() {
  restoreChoices();
  api = new Api({ base: await backendAddress(), storage: sessionStorage, onSignedOut: () => signin.show("Your session has ended. Sign in again; what you typed is kept.") });
  signin = new SignIn(api, enter);
  artifacts = new Artifacts(api);
  pictures = new PagePictures(api);
  panel = new Panel(() => {
    for (const kind of ["documents", "tools"]) byId(`${kind}-open`).setAttribute("aria-expanded", String(panel.kind === kind));
  });
  thread = new Thread(state, {
    artifacts,
    onCite: (citation) => openSource(citation),
    onRegenerate: (exchange) => asking.again(exchange),
    onAllow: (exchange, names) => asking.again(exchange, names),
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
    onOpen: (item) => openSource({ file_id: item.file_id, filename: item.filename, page: 1 }, { back: true }),
    onFound: (hit) => openSource(hit, { back: true }),
    onCollections: () => scope.draw(),
    onChanged: () => {
      composer.drawChips((upload) => documents.dismiss(upload));
      if (thread.root.classList.contains("is-empty")) thread.draw();
    },
  });
  scope = new Scope(state, api);
  tools = new Tools(state, api, panel);
  viewer = new DocumentReader(api, pictures, {
    onClose: () => (history.state?.fromChat ? history.back() : go("/")),
    onPage: (place) => history.replaceState({ ...history.state, place }, "", viewerPath(place.fileId, place.page)),
    onShown: (place) => byId("viewer").hidden || title(place.filename),
  });
  byId("viewer").replaceChildren(viewer.element);
  runs = new Runs(api, { artifacts, onCite: openSource, onBack: leaveTrace, onTitle: title });
  asking = new Asking(state, api, askingHooks);
  health = new HealthWatch(state, api, () => api.signedIn && Promise.all([sidebar.load(), documents.load(), documents.collections.load(), tools.load(), loadModels()]));
  wire();
  health.check();
  if (api.signedIn) await enter();
  else signin.show();
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
    if (["auto", "chat", "react", "plan_execute", "documents"].includes(agent)) state.agent = agent;
  } catch {
    // storage switched off
  }
}

function wire() {
  wireShell();
  for (const id of ["new-chat", "topbar-new", "brand"]) {
    byId(id).addEventListener("click", (event) => {
      event.preventDefault();
      startNew();
    });
  }
  byId("documents-open").addEventListener("click", () => {
    if (panel.kind === "documents") return panel.close();
    uncover();
    return documents.open();
  });
  byId("signout").addEventListener("click", signOut);
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    (byId("chat").hidden ? byId(document.body.dataset.part) : composer.field).focus();
  });
  addEventListener("popstate", () => {
    visited = true;
    route();
  });
  addEventListener("keydown", escape);
  document.addEventListener("click", followInside);
  wireDrop(() => document.body.dataset.view === "main", (files) => documents.add(files));
}

function escape(event) {
  if (event.key !== "Escape" || byId("dialog").open) return;
  if (sidebarCovers()) uncover();
  else if (panel.kind) panel.close();
}

/** Links to this app's own places, and of answers to this server's documents, open without leaving the page. */
function followInside(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  if (link.getAttribute("href").startsWith("/#/")) {
    event.preventDefault();
    go(link.getAttribute("href"));
    return;
  }
  if (!link.closest(".md")) return;
  const url = new URL(link.href, location.href);
  if (url.origin !== location.origin && url.origin !== api.base) return;
  const place = parseViewerPath(url.pathname, url.hash);
  if (!place) return;
  event.preventDefault();
  openSource({ file_id: place.fileId, page: place.page, line: place.line });
}

// ---- signing in and out ------------------------------------------------------------------------

/** A signed-in user sees the page. What another user left on it is gone; the same user finds it as it was. */
async function enter() {
  const { user } = api;
  if (state.user && state.user.id !== user?.id) clear();
  const first = !state.user;
  state.user = user;
  signin.hide();
  byId("user-name").textContent = user?.username ?? "";
  byId("user-initial").textContent = (user?.username ?? "?").slice(0, 1).toUpperCase();
  composer.drawModels();
  composer.draw();
  if (first || !state.session.exchanges.length) route();
  composer.focus();
  await Promise.all([sidebar.load(), documents.load(), documents.collections.load(), tools.load(), loadModels()]);
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
  signin.show();
}

function clear() {
  documents.reset();
  runs.reset();
  artifacts.reset();
  pictures.reset();
  panel.close();
  background.clear();
  const fresh = createState();
  for (const key of ["conversations", "documents", "collections", "uploads", "session", "models", "tools"]) state[key] = fresh[key];
  composer.text = "";
  sidebar.draw();
  history.replaceState(null, "", "/");
}

// ---- where we are ------------------------------------------------------------------------------

function go(path, historyState = null) {
  visited = true;
  history.pushState(historyState, "", path);
  route();
}

function route() {
  if (!api.signedIn) return;
  const place = parseViewerPath(location.pathname, location.hash);
  const run = place ? null : parseRunHash(location.hash);
  showPart(place ? "viewer" : run ? "runs" : "chat");
  if (run) return void runs.show(run);
  runs.leave();
  if (place) {
    panel.close();
    title("Document");
    viewer.show({ ...(history.state?.place ?? {}), ...place });
    return;
  }
  const id = parseConversationHash(location.hash);
  if (id && id !== state.session.id) openConversation(id);
  else if (!id && state.session.id) show(newSession());
  else {
    if (!thread.root.childElementCount) thread.draw();
    title(state.session.title);
  }
}

/** One of chat, viewer and runs is on the page. The chat comes back where it was being read. */
function showPart(name) {
  const chat = byId("chat");
  const scroller = byId("scroller");
  const changed = byId(name).hidden;
  if (name !== "chat" && !chat.hidden) chat.dataset.scrollTop = thread.following ? "" : String(scroller.scrollTop);
  for (const part of ["chat", "viewer", "runs"]) byId(part).hidden = part !== name;
  if (name === "chat" && changed) {
    if (chat.dataset.scrollTop) scroller.scrollTop = Number(chat.dataset.scrollTop);
    // Whoever came from a trace by keyboard goes on at its link.
    const link = runs.runId && chat.querySelector(`[data-run="${CSS.escape(runs.runId)}"]`);
    link?.focus({ preventScroll: true });
  }
  document.body.dataset.part = name;
  byId("runs-open").setAttribute("aria-current", name === "runs" ? "page" : "false");
  if (changed && panel.kind === "source") panel.close();
  if (name === "runs") uncover();
}

/** Back from a trace: to where the reader came from, or, at a bare address, to its conversation. */
function leaveTrace(trace) {
  if (visited) history.back();
  else go(trace?.sessionId ? `/#/c/${encodeURIComponent(trace.sessionId)}` : "/#/runs");
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
  scope.draw();
  if (panel.kind === "source") panel.close();
  uncover();
}

function startNew() {
  if (location.pathname !== "/" || location.hash) history.pushState(null, "", "/");
  runs.leave();
  showPart("chat");
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
    if (Array.isArray(stored.collections)) session.collections = stored.collections;
  } catch (error) {
    session.error = error.status === 404 ? "This conversation is not there any more. Start a new chat." : error.message;
  }
  session.loading = false;
  if (state.session !== session) return undefined;
  scope.draw();
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

/** The passage of a citation, or of a search: then a button leads `back` to the documents. */
function openSource(citation, { back = false } = {}) {
  if (!citation.file_id) return;
  const reader = new DocumentReader(api, pictures, {
    onClose: () => panel.close(),
    onBack: back ? () => documents.open() : null,
    onExpand: (place) => go(viewerPath(place.fileId, citation.page ? place.page : null, place.line), { fromChat: true, place }),
  });
  panel.open("source", reader.element);
  reader.show(placeOf(citation));
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
  onCollectionsDoubted: () => documents.collections.load(),
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
