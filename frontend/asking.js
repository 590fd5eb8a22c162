// The life of a request: from the question to an answer that is complete, stopped or failed.

import { ApiError } from "./api.js";
import { chosenCollections } from "./scope.js";
import { addAnswer, applyChunk, endAnswer, messagesFor, newExchange } from "./state.js";

const TITLE_CHARS = 60;
const TICK_MS = 1000;
const LOST = "A collection that this conversation searched is no longer there, or no longer shared with you. Try again without it.";

/** What a conversation is called until the server says otherwise. */
function titleOf(text) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > TITLE_CHARS ? `${line.slice(0, TITLE_CHARS - 1)}…` : line;
}

/**
 * `hooks`: `onAdded(exchange)`, `onSwapped(exchange)`, `onRemoved(exchange)`, `onGrowing(session, exchange)`,
 * `onStarted(session)`, `onEnded(session, exchange, answer)`, `onNamed(session)` once the server has told the id,
 * `onUnanswered(text)` with a question that was never taken, `onUnreachable()`,
 * `onCollectionsDoubted()` to ask which collections there are.
 */
export class Asking {
  constructor(state, api, hooks) {
    this.state = state;
    this.api = api;
    this.hooks = hooks;
  }

  send(text) {
    const { session } = this.state;
    const exchange = newExchange(text, Date.now() / 1000);
    session.exchanges.push(exchange);
    session.title ||= titleOf(text);
    addAnswer(exchange);
    this.hooks.onAdded(exchange);
    return this.#run(session, exchange);
  }

  /** Asks the same again. `confirmed` are tools that the user has agreed to, for this one answer. */
  again(exchange, confirmed = []) {
    const { session } = this.state;
    if (session.stream) return undefined;
    addAnswer(exchange);
    this.hooks.onSwapped(exchange);
    return this.#run(session, exchange, confirmed);
  }

  async #run(session, exchange, confirmed = []) {
    const answer = exchange.answers.at(-1);
    const controller = (session.stream = new AbortController());
    answer.startedAt = Date.now();
    this.hooks.onStarted(session);
    // A long step shows that time goes by, though nothing arrives.
    const ticking = setInterval(() => this.hooks.onGrowing(session, exchange), TICK_MS);
    try {
      const { sessionId, runId, chunks } = await this.api.chat(this.#body(session, exchange, confirmed), controller.signal);
      answer.runId = runId;
      session.choosing = false;
      this.#name(session, sessionId);
      for await (const chunk of chunks) {
        this.#name(session, chunk.choices?.[0]?.delta?.hearth?.session_id);
        applyChunk(answer, chunk, Date.now());
        this.hooks.onGrowing(session, exchange);
      }
      endAnswer(answer, "complete", { now: Date.now() });
    } catch (error) {
      await this.#settle(session, exchange, answer, error);
    } finally {
      clearInterval(ticking);
      session.stream = null;
      this.hooks.onEnded(session, exchange, answer);
    }
  }

  #body(session, exchange, confirmed) {
    const { model, agent } = this.state;
    const body = { model, messages: messagesFor(session, exchange) };
    if (session.id) body.session_id = session.id;
    // Left out for `auto`, so that a model id which fixes the way keeps its meaning.
    if (agent !== "auto") body.agent = agent;
    if (confirmed.length) body.confirmed_tools = confirmed;
    const chosen = chosenCollections(this.state, session).map((each) => each.id);
    if (chosen.length || session.choosing) body.collections = chosen;
    return body;
  }

  #name(session, id) {
    if (!id || session.id === id) return;
    session.id = id;
    this.hooks.onNamed(session);
  }

  async #settle(session, exchange, answer, error) {
    const now = Date.now();
    if (error.name === "AbortError") return endAnswer(answer, "stopped", { now });
    if (error instanceof ApiError && error.status === 401) return this.#giveBack(session, exchange);
    if (error instanceof ApiError && error.status === 0) this.hooks.onUnreachable();
    if (error instanceof ApiError && error.status === 404 && (await this.#lost(session))) {
      return endAnswer(answer, "failed", { error: LOST, now });
    }
    return endAnswer(answer, "failed", { error: error.message || "Something went wrong. Try again.", now });
  }

  /** Whether a collection that this conversation searched was deleted or is shared no longer; it is searched no more. */
  async #lost(session) {
    if (!session.collections.length) return false;
    await this.hooks.onCollectionsDoubted();
    const left = chosenCollections(this.state, session).map((each) => each.id);
    if (left.length === session.collections.length) return false;
    Object.assign(session, { collections: left, choosing: true });
    return true;
  }

  /** Signed out before it was asked: the text goes back to where it was typed. */
  #giveBack(session, exchange) {
    exchange.answers.pop();
    exchange.shown = exchange.answers.length - 1;
    if (exchange.answers.length) return this.hooks.onSwapped(exchange);
    session.exchanges = session.exchanges.filter((each) => each !== exchange);
    this.hooks.onRemoved(exchange);
    return this.hooks.onUnanswered(exchange.question);
  }
}
