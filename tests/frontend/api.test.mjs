import assert from "node:assert/strict";
import test from "node:test";

import { Api, ApiError, UNREACHABLE } from "../../frontend/api.js";

class Storage {
  items = new Map();
  getItem = (key) => this.items.get(key) ?? null;
  setItem = (key, value) => this.items.set(key, value);
  removeItem = (key) => this.items.delete(key);
}

const json = (body, status = 200, headers = {}) => new Response(JSON.stringify(body), { status, headers });
const problem = (status, message, headers) => json({ error: { message, type: "t", param: null, code: "c" } }, status, headers);

/** An Api signed in with `t0`, whose server is `answer(path, token, init)`; counts how often it signs out. */
async function signedIn(answer, refreshToken = "r0") {
  const calls = [];
  let signedOut = 0;
  const fetch = async (url, init) => {
    const path = url.replace("http://server", "");
    calls.push({ path, init, token: init.headers.authorization?.slice(7) ?? null });
    if (path === "/api/auth/login") return json({ access_token: "t0", refresh_token: refreshToken, user: { id: "1", username: "ada" } });
    return answer(path, calls.at(-1).token, init);
  };
  const storage = new Storage();
  const api = new Api({ base: "http://server", storage, fetch, onSignedOut: () => (signedOut += 1) });
  await api.signIn("ada", "secret");
  return { api, calls, storage, signedOut: () => signedOut };
}

test("xss_2 the token travels as Bearer, never with cookies, and login sends none", async () => {
  const { api, calls, storage } = await signedIn(() => json({ data: [{ id: "hearth" }] }));
  assert.deepEqual(await api.models(), [{ id: "hearth" }]);
  assert.deepEqual(calls.map((call) => [call.path, call.token, call.init.credentials]), [["/api/auth/login", null, "omit"], ["/v1/models", "t0", "omit"]]);
  assert.ok(![...storage.items.values()].join().includes("secret"));
});

test("a new page of the same tab is still signed in; a broken entry is not", async () => {
  const { storage } = await signedIn(() => json({}));
  assert.equal(new Api({ storage }).user.username, "ada");
  storage.items.set("hearth.session", "{half");
  assert.equal(new Api({ storage }).signedIn, false);
});

test("the server's sentence reaches the reader, with the time to wait", async () => {
  const { api } = await signedIn(() => problem(429, "Too many requests.", { "retry-after": "7" }));
  await assert.rejects(api.models(), (error) => error instanceof ApiError && error.message === "Too many requests. Try again in 7 s." && error.retryAfter === 7);
});

for (const status of [400, 404, 413, 429, 500, 502]) {
  test(`an answer ${status} without an envelope becomes a sentence that says what to do`, async () => {
    const { api } = await signedIn(() => new Response("<html>bad gateway</html>", { status }));
    await assert.rejects(api.models(), (error) => error.status === status && /[.]$/.test(error.message) && !error.message.includes("<"));
  });
}

test("no network is told as such", async () => {
  const { api } = await signedIn(() => {
    throw new TypeError("fetch failed");
  });
  await assert.rejects(api.models(), (error) => error.status === 0 && error.message === UNREACHABLE);
});

test("an abort stays an abort", async () => {
  const { api } = await signedIn((path, token, init) => init.signal.throwIfAborted());
  const controller = new AbortController();
  controller.abort();
  await assert.rejects(api.chat({}, controller.signal), { name: "AbortError" });
});

test("an expired token is renewed once for all requests, which then go on", async () => {
  const { api, calls, signedOut } = await signedIn((path, token) => {
    if (path === "/api/auth/refresh") return json({ access_token: "t1", refresh_token: "r1" });
    return token === "t1" ? json({ data: [], conversations: [] }) : problem(401, "Expired.");
  });
  await Promise.all([api.models(), api.conversations(), api.models()]);
  assert.equal(calls.filter((call) => call.path === "/api/auth/refresh").length, 1);
  assert.deepEqual([signedOut(), api.user.username], [0, "ada"]);
});

for (const [name, refresh] of [["is refused", () => problem(401, "no")], ["does not exist", () => problem(404, "no")], ["fails", () => { throw new TypeError(); }]]) {
  test(`when renewing ${name}, the reader is asked to sign in, once`, async () => {
    const { api, storage, signedOut } = await signedIn((path) => (path === "/api/auth/refresh" ? refresh() : problem(401, "Expired.")));
    await Promise.allSettled([api.models(), api.conversations()]);
    assert.deepEqual([signedOut(), api.signedIn, storage.items.size], [1, false, 0]);
  });
}

test("a wrong password is an error, not an ended session", async () => {
  let signedOut = 0;
  const api = new Api({ storage: new Storage(), fetch: async () => problem(401, "User name or password is wrong."), onSignedOut: () => (signedOut += 1) });
  await assert.rejects(api.signIn("a", "b"), /wrong/);
  assert.equal(signedOut, 0);
});

test("signing out forgets the tokens first, tells the server, and late refusals change nothing", async () => {
  const { api, calls, storage, signedOut } = await signedIn(() => problem(401, "Expired."), null);
  const late = api.models();
  await api.signOut();
  await assert.rejects(late);
  assert.deepEqual([calls.at(-1).path, calls.at(-1).token, storage.items.size, signedOut()], ["/api/auth/logout", "t0", 0, 0]);
});

test("a chat answer brings its ids and its chunks", async () => {
  const { api, calls } = await signedIn(() =>
    new Response('data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n', { headers: { "x-session-id": "s1", "x-run-id": "r1" } }),
  );
  const { sessionId, runId, chunks } = await api.chat({ model: "hearth", messages: [] });
  const texts = [];
  for await (const chunk of chunks) texts.push(chunk.choices[0].delta.content);
  assert.deepEqual([sessionId, runId, texts], ["s1", "r1", ["hi"]]);
  assert.equal(JSON.parse(calls.at(-1).init.body).stream, true);
});

test("ids are escaped in paths and searches", async () => {
  const { api, calls } = await signedIn(() => json({ conversations: [] }));
  await api.conversation("../x?y");
  await api.conversations({ query: "a&b=c" });
  assert.deepEqual(calls.slice(1).map((call) => call.path), ["/api/conversations/..%2Fx%3Fy", "/api/conversations?page=1&limit=50&q=a%26b%3Dc"]);
});
