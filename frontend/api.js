// The server's HTTP interface: fetch with the Bearer token, errors as sentences, the answer as an async generator.

import { readChunks, readEvents } from "./sse.js";

const STORAGE_KEY = "hearth.session";
const MAX_QUOTE = 20_000;
export const UNREACHABLE = "Hearth cannot be reached. Check that the server is running, then try again.";

/** A request that did not succeed. `status` 0: no answer at all. `message` is one sentence for the reader. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = null, retryAfter = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** Tokens live in sessionStorage: they end with the tab, and no cookie ever carries them. */
export class Api {
  #session = null;
  #refreshing = null;

  constructor({ base = "", storage, fetch = globalThis.fetch.bind(globalThis), onSignedOut = () => {} }) {
    this.base = base;
    this.storage = storage;
    this.fetch = fetch;
    this.onSignedOut = onSignedOut;
    try {
      this.#session = JSON.parse(storage.getItem(STORAGE_KEY) ?? "null");
    } catch {
      this.#session = null;
    }
  }

  get user() {
    return this.#session?.user ?? null;
  }

  get signedIn() {
    return Boolean(this.#session?.access_token);
  }

  async signIn(username, password) {
    const response = await this.#send("POST", "/api/auth/login", { body: { username, password }, bare: true });
    this.#keep(await response.json());
    return this.user;
  }

  async signOut() {
    const token = this.#session?.access_token;
    this.#keep(null);
    // Signed out here whatever the server says; it is told so that the token dies there too.
    if (token) await this.#send("POST", "/api/auth/logout", { bare: true, token }).catch(() => {});
  }

  async me() {
    const user = await this.#json("GET", "/api/auth/me");
    this.#keep({ ...this.#session, user });
    return user;
  }

  async health() {
    const response = await this.#send("GET", "/health", { bare: true, accept: [503] });
    return response.json();
  }

  /** Those that can answer: the list also names models that only make embeddings. */
  async models() {
    const models = (await this.#json("GET", "/v1/models")).data ?? [];
    return models.filter((model) => model.hearth?.kind !== "embedding");
  }

  /** Starts an answer: `{sessionId, runId, chunks}`; `chunks` throws StreamError when it breaks off. */
  async chat(body, signal) {
    const response = await this.#send("POST", "/v1/chat/completions", { body: { ...body, stream: true }, signal });
    return {
      sessionId: response.headers.get("x-session-id"),
      runId: response.headers.get("x-run-id"),
      chunks: readChunks(response.body),
    };
  }

  conversations({ page = 1, limit = 50, query = "" } = {}) {
    const search = new URLSearchParams({ page, limit, ...(query ? { q: query } : {}) });
    return this.#json("GET", `/api/conversations?${search}`);
  }

  conversation(id) {
    return this.#json("GET", `/api/conversations/${encodeURIComponent(id)}`);
  }

  renameConversation(id, title) {
    return this.#send("PATCH", `/api/conversations/${encodeURIComponent(id)}`, { body: { title } });
  }

  deleteConversation(id) {
    return this.#send("DELETE", `/api/conversations/${encodeURIComponent(id)}`);
  }

  async exportConversation(id, format) {
    const path = `/api/conversations/${encodeURIComponent(id)}/export?format=${format}`;
    return (await this.#send("GET", path)).blob();
  }

  runs({ page = 1, limit = 25 } = {}, signal = undefined) {
    return this.#json("GET", `/api/runs?${new URLSearchParams({ page, limit })}`, { signal });
  }

  run(id, signal) {
    return this.#json("GET", `/api/runs/${encodeURIComponent(id)}`, { signal });
  }

  cancelRun(id) {
    return this.#send("POST", `/api/runs/${encodeURIComponent(id)}/cancel`);
  }

  /** What happens in a run, from behind event number `after` until it is over. Fetched, not an EventSource: that sends no token. */
  async *runEvents(id, after, signal) {
    const response = await this.#send("GET", `/api/runs/${encodeURIComponent(id)}/events?after=${after}`, { signal });
    for await (const { data } of readEvents(response.body)) {
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }

  async tools() {
    const { tools } = await this.#json("GET", "/api/tools");
    return Array.isArray(tools) ? tools : [];
  }

  /** The tools that may not run for this user, by name; all others may. */
  saveTools(disabled) {
    return this.#send("PUT", "/api/tools/settings", { body: { disabled_tools: disabled } });
  }

  /** A file that a tool made. */
  async artifact(id) {
    return (await this.#send("GET", `/api/artifacts/${encodeURIComponent(id)}`)).blob();
  }

  documents({ page = 1, limit = 100 } = {}) {
    return this.#json("GET", `/api/files/documents?${new URLSearchParams({ page, limit })}`);
  }

  deleteDocument(id) {
    return this.#send("DELETE", `/api/files/documents/${encodeURIComponent(id)}`);
  }

  async documentContent(id) {
    return (await this.#send("GET", `/api/files/documents/${encodeURIComponent(id)}/content`)).blob();
  }

  documentPage(id, page, signal) {
    return this.#json("GET", `/api/files/documents/${encodeURIComponent(id)}/pages/${page}`, { signal });
  }

  /** A page of a PDF as a PNG, `width` pixels wide. */
  async pageImage(id, page, width, signal) {
    const path = `/api/files/documents/${encodeURIComponent(id)}/pages/${page}/image?width=${width}`;
    return (await this.#send("GET", path, { signal })).blob();
  }

  /** Where a passage stands on a page of a PDF: `{found, rects}`. */
  pageMarks(id, page, quote, signal) {
    const path = `/api/files/documents/${encodeURIComponent(id)}/pages/${page}/marks`;
    return this.#json("POST", path, { body: { quote: quote.slice(0, MAX_QUOTE) }, signal });
  }

  /** Passages of the user's documents: `{query, top_k, files, collections}` -> hits. */
  async search(body, signal) {
    return (await this.#json("POST", "/api/search", { body, signal })).hits ?? [];
  }

  /** The user's own collections and those that others share. */
  async collections() {
    return (await this.#json("GET", "/api/collections")).collections ?? [];
  }

  createCollection(name) {
    return this.#json("POST", "/v1/vector_stores", { body: { name } });
  }

  renameCollection(id, name) {
    return this.#json("POST", `/v1/vector_stores/${encodeURIComponent(id)}`, { body: { name } });
  }

  deleteCollection(id) {
    return this.#send("DELETE", `/v1/vector_stores/${encodeURIComponent(id)}`);
  }

  /** Ids of the documents in a collection. */
  async collectionFiles(id) {
    const ids = [];
    for (let after = ""; ; ) {
      const search = new URLSearchParams({ limit: 100, ...(after ? { after } : {}) });
      const found = await this.#json("GET", `/v1/vector_stores/${encodeURIComponent(id)}/files?${search}`);
      ids.push(...found.data.map((file) => file.id));
      if (!found.has_more || !found.data.length) return ids;
      after = found.data.at(-1).id;
    }
  }

  addToCollection(id, fileId) {
    return this.#json("POST", `/v1/vector_stores/${encodeURIComponent(id)}/files`, { body: { file_id: fileId } });
  }

  removeFromCollection(id, fileId) {
    return this.#send("DELETE", `/v1/vector_stores/${encodeURIComponent(id)}/files/${encodeURIComponent(fileId)}`);
  }

  /** Who may read a collection, by user name; the collection as it is then. */
  shareCollection(id, users) {
    return this.#json("PUT", `/api/collections/${encodeURIComponent(id)}/readers`, { body: { users } });
  }

  /** Which collections a conversation searches; none: all documents. */
  chooseCollections(id, collections) {
    return this.#send("PATCH", `/api/conversations/${encodeURIComponent(id)}`, { body: { collections } });
  }

  /** Ingestion as it goes on: `{status, progress, chunks, pages, error}` until ready or failed. */
  async *documentEvents(id, signal) {
    const response = await this.#send("GET", `/api/files/documents/${encodeURIComponent(id)}/events`, { signal });
    for await (const { data } of readEvents(response.body)) {
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }

  /** Uploads one file. `onProgress` gets a share in [0, 1]. XMLHttpRequest, because fetch cannot tell how far it is. */
  async upload(file, onProgress = () => {}) {
    let used = null;
    const once = () =>
      new Promise((resolve, reject) => {
        used = this.#session?.access_token ?? "";
        const request = new XMLHttpRequest();
        request.open("POST", `${this.base}/api/files/upload`);
        request.setRequestHeader("authorization", `Bearer ${used}`);
        request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
        request.onerror = () => reject(new ApiError(UNREACHABLE));
        request.onload = () => resolve(request);
        const form = new FormData();
        form.append("file", file, file.name);
        request.send(form);
      });
    let request = await once();
    if (request.status === 401 && (await this.#renewed(used))) request = await once();
    if (request.status >= 400) {
      const error = describe(request.status, parseJson(request.responseText), request.getResponseHeader("retry-after"));
      if (request.status === 401) this.#expire(used);
      throw error;
    }
    const body = parseJson(request.responseText) ?? {};
    return body.files?.[0] ?? body;
  }

  async #json(method, path, options) {
    return (await this.#send(method, path, options)).json();
  }

  /** `bare`: no sign-in handling, and no token but `token`. `accept`: error statuses that are answers. */
  async #send(method, path, { body, signal, bare = false, token = null, accept = [] } = {}) {
    let used = token;
    const once = async () => {
      const headers = {};
      if (!bare) used = this.#session?.access_token ?? null;
      if (body !== undefined) headers["content-type"] = "application/json";
      if (used) headers.authorization = `Bearer ${used}`;
      const init = { method, headers, signal, credentials: "omit", cache: "no-store" };
      if (body !== undefined) init.body = JSON.stringify(body);
      try {
        return await this.fetch(this.base + path, init);
      } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new ApiError(UNREACHABLE);
      }
    };
    let response = await once();
    if (response.status === 401 && !bare && (await this.#renewed(used))) response = await once();
    if (response.ok || accept.includes(response.status)) return response;
    const error = describe(response.status, parseJson(await response.text()), response.headers.get("retry-after"));
    if (response.status === 401 && !bare) this.#expire(used);
    throw error;
  }

  /** Whether there is a better token than the refused one: asked for now, or by another request meanwhile. */
  #renewed(used) {
    if (!this.#session) return false;
    return this.#session.access_token !== used || this.#refresh();
  }

  /** A new pair of tokens, asked for once however many requests failed together. */
  #refresh() {
    const token = this.#session?.refresh_token;
    if (!token) return false;
    this.#refreshing ??= (async () => {
      try {
        const response = await this.#send("POST", "/api/auth/refresh", { body: { refresh_token: token }, bare: true });
        this.#keep({ ...this.#session, ...(await response.json()) });
        return true;
      } catch {
        return false;
      } finally {
        this.#refreshing = null;
      }
    })();
    return this.#refreshing;
  }

  /** The token `used` was refused for good. One that has been replaced, or signed out, needs no further step. */
  #expire(used) {
    if (!this.#session || this.#session.access_token !== used) return;
    this.#keep(null);
    this.onSignedOut();
  }

  #keep(session) {
    this.#session = session;
    if (session === null) this.storage.removeItem(STORAGE_KEY);
    else {
      const { access_token, refresh_token, user } = session;
      this.storage.setItem(STORAGE_KEY, JSON.stringify({ access_token, refresh_token, user }));
    }
  }
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** An error answer as an ApiError whose message says what happened and what to do. */
function describe(status, body, retryAfter) {
  const said = typeof body?.error?.message === "string" ? body.error.message : null;
  const wait = retryAfter && /^\d+$/.test(retryAfter) ? Number(retryAfter) : null;
  let message = said ?? fallback(status);
  if (wait && !/\d+\s*s/.test(message)) message = `${message} Try again in ${wait} s.`;
  return new ApiError(message, { status, code: body?.error?.code ?? null, retryAfter: wait });
}

function fallback(status) {
  if (status === 401) return "Your session has ended. Sign in again.";
  if (status === 404) return "This is no longer there. Reload the page.";
  if (status === 413) return "That is too large. Use a smaller file or a shorter text.";
  if (status === 429) return "Too many requests at once. Wait a moment, then try again.";
  if (status >= 500) return "The server had a problem. Try again; if it stays, look at the server's log.";
  return `The server refused the request (${status}). Reload the page and try again.`;
}
