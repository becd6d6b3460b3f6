/**
 * Where the visitor writes.
 * @typedef {import("./visit.js").Visit} Visit
 * @typedef {import("./texts.js").Speech} Speech
 */

import { h, icon, set, write } from "./dom.js";

export class Composer {
    #visit;
    #speech;

    /**
     * @param {Visit} visit
     * @param {Speech} speech
     */
    constructor(visit, speech) {
        this.#visit = visit;
        this.#speech = speech;
        const label = speech.say("write");
        const keys = h("span", { class: "hidden", id: "keys" }, speech.say("keys"));
        this.input = h("textarea", {
            rows: 1,
            "aria-label": label,
            "aria-describedby": "keys",
            placeholder: label,
            enterkeyhint: "send",
            onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
            oninput: () => this.#typed(),
        });
        this.input.value = visit.memory.tab.get().draft ?? "";
        this.button = h("button", { class: "icon", type: "submit", "aria-label": speech.say("send") }, icon("M5 12h14", "M13 6l6 6-6 6"));
        this.problem = h("p", { class: "problem composer-problem", role: "alert" });
        const onsubmit = (/** @type {Event} */ event) => {
            event.preventDefault();
            this.#send();
        };
        this.form = h("form", { class: "composer", onsubmit }, this.input, this.button, keys);
        this.element = h("div", {}, this.problem, this.form);
    }

    focus() {
        this.input.focus();
    }

    update() {
        const text = this.input.value;
        const isTooLong = new TextEncoder().encode(text).length > this.#visit.messageBytesMax;
        write(this.problem, isTooLong ? this.#speech.say("tooLong") : "");
        set(this.input, "aria-invalid", isTooLong ? "true" : false);
        set(this.button, "aria-disabled", text.trim() === "" || isTooLong ? "true" : false);
        this.#grow();
    }

    /** As high as its text. */
    #grow() {
        this.input.style.height = "auto";
        if (this.input.scrollHeight > 0) this.input.style.height = `${this.input.scrollHeight + 2}px`;
    }

    #typed() {
        this.#visit.typing(this.input.value);
        this.#visit.memory.tab.put({ draft: this.input.value });
        this.update();
    }

    /** @param {KeyboardEvent} event */
    #key(event) {
        // While a word is being composed, Enter chooses it.
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        this.#send();
    }

    #send() {
        if (this.button.ariaDisabled === "true") return;
        this.#visit.say(this.input.value.trim());
        this.input.value = "";
        this.#visit.memory.tab.put({ draft: undefined });
        this.update();
        this.focus();
    }
}
