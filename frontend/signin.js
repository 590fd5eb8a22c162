// The sign-in form: what is asked for, what is wrong with it, and whose turn comes then.

import { byId } from "./dom.js";

const LEAD = "Sign in to talk to your own models and documents.";

export class SignIn {
  /** `onSignedIn()` is called once the server has let the user in, and may take its time. */
  constructor(api, onSignedIn) {
    this.api = api;
    this.onSignedIn = onSignedIn;
    this.problem = byId("signin-error");
    byId("signin-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    byId("password-toggle").addEventListener("click", (event) => this.#reveal(event.currentTarget));
  }

  /** `reason` says why the form is here again; without one its usual line stands. */
  show(reason = LEAD) {
    document.body.dataset.view = "signin";
    byId("signin").hidden = false;
    byId("shell").hidden = true;
    byId("signin-lead").textContent = reason;
    byId("password").value = "";
    (byId("username").value ? byId("password") : byId("username")).focus();
  }

  hide() {
    document.body.dataset.view = "main";
    byId("signin").hidden = true;
    byId("shell").hidden = false;
  }

  #reveal(button) {
    const field = byId("password");
    const show = field.type === "password";
    field.type = show ? "text" : "password";
    button.textContent = show ? "Hide" : "Show";
    button.setAttribute("aria-pressed", String(show));
  }

  async #submit() {
    const button = byId("signin-submit");
    const username = byId("username").value.trim();
    const password = byId("password").value;
    this.problem.hidden = true;
    if (!username || !password) return this.#refuse("Enter your user name and your password.");
    button.disabled = true;
    try {
      await this.api.signIn(username, password);
      byId("password").value = "";
      await this.onSignedIn();
    } catch (error) {
      this.#refuse(error.message);
      byId("password").select();
    } finally {
      button.disabled = false;
    }
    return undefined;
  }

  #refuse(text) {
    this.problem.textContent = text;
    this.problem.hidden = false;
  }
}
