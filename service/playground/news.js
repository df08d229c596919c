// What the page has to say: how it goes, what went wrong, and that it is at work.

import { Problem } from "./api.js";

const LATE_MS = 300; // what takes longer says that it does

export class News {
  #status = document.getElementById("status");
  #problem = document.getElementById("problem");
  #progress = document.getElementById("progress");
  #numBusy = 0;

  say(text) {
    this.#status.textContent = text;
  }

  /** In the service's words; what is not a problem of its is a mistake of the page's own. */
  complain(problem, again = null) {
    if (problem.name === "AbortError") return;
    if (!(problem instanceof Problem)) console.error(problem);
    const text = document.createElement("p");
    text.textContent = problem instanceof Problem ? problem.message : `The page made a mistake: ${problem.message}`;
    this.#problem.replaceChildren(text);
    if (!again) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button small";
    button.textContent = "Try again";
    button.addEventListener("click", () => {
      this.clear();
      again();
    });
    this.#problem.append(button);
  }

  clear() {
    this.#problem.replaceChildren();
  }

  /** What a promise comes to; meanwhile, if it takes long, the page says what it is at. */
  async during(doing, promise) {
    this.#numBusy += 1;
    let before = null;
    const late = setTimeout(() => {
      before = this.#status.textContent;
      this.say(doing);
      this.#progress.hidden = false;
    }, LATE_MS);
    try {
      return await promise;
    } finally {
      clearTimeout(late);
      this.#numBusy -= 1;
      if (!this.#numBusy) this.#progress.hidden = true;
      if (before !== null && this.#status.textContent === doing) this.say(before);
    }
  }
}
