/**
 * Before a conversation: what it is about, and the first message.
 * @typedef {import("./visit.js").Visit} Visit
 * @typedef {import("./texts.js").Speech} Speech
 */

import { h, set, write } from "./dom.js";

export class Choice {
    #visit;
    #speech;
    /** Which queues are shown: the cards are made anew only when they differ. */
    #shown = "";
    /** @type {string | undefined} */
    #chosen;

    /**
     * @param {Visit} visit
     * @param {Speech} speech
     * @param {string | null} preferred the queue that is chosen at first
     */
    constructor(visit, speech, preferred) {
        this.#visit = visit;
        this.#speech = speech;
        this.#chosen = preferred ?? undefined;
        this.cards = h("div", { class: "cards" });
        this.queues = h("fieldset", {}, h("legend", {}, speech.say("queueLegend")), this.cards);
        this.name = h("input", { autocomplete: "name", maxlength: 50 });
        this.message = h("textarea", { rows: 3, onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event) });
        this.problem = h("p", { class: "problem", role: "alert" });
        this.button = h("button", { class: "primary", type: "submit" }, speech.say("startButton"));
        this.waiting = h("p", { class: "wait", role: "status" }, speech.say("connecting"));
        this.fields = [
            this.queues,
            h("label", { class: "field" }, h("span", {}, speech.say("name")), this.name),
            h("label", { class: "field" }, h("span", {}, speech.say("firstMessage")), this.message),
            this.button,
        ];
        const heading = h("h3", {}, speech.say("greeting"));
        const onsubmit = (/** @type {Event} */ event) => {
            event.preventDefault();
            this.#begin();
        };
        this.element = h("form", { class: "choice", onsubmit }, heading, this.waiting, ...this.fields, this.problem);
    }

    focus() {
        const first = this.#visit.queues ? this.element.querySelector("input:checked") : undefined;
        /** @type {HTMLElement} */ (first && !this.queues.hidden ? first : this.message).focus();
    }

    update() {
        const { queues, isStarting, connection } = this.#visit;
        this.waiting.hidden = queues !== undefined || connection.state === "refused";
        if (queues) this.#showQueues(queues);
        const areAllClosed = queues !== undefined && !queues.some((queue) => queue.open);
        for (const field of this.fields) field.hidden = queues === undefined || areAllClosed;
        if ((queues?.length ?? 0) < 2) this.queues.hidden = true;
        set(this.button, "aria-disabled", isStarting ? "true" : false);
        write(this.button, this.#speech.say(isStarting ? "connecting" : "startButton"));
        write(this.problem, areAllClosed ? this.#speech.say("allClosed") : this.#problem());
    }

    /** @param {import("../protocol").Queue[]} queues */
    #showQueues(queues) {
        if (!queues.some((queue) => queue.id === this.#chosen && queue.open)) this.#chosen = queues.find((queue) => queue.open)?.id;
        const shown = JSON.stringify(queues);
        if (shown === this.#shown) return;
        this.#shown = shown;
        const cards = queues.map((queue) => {
            const onchange = () => (this.#chosen = queue.id);
            const input = h("input", { type: "radio", name: "queue", disabled: !queue.open, onchange });
            input.checked = queue.id === this.#chosen;
            const closed = !queue.open && h("em", {}, this.#speech.say("queueClosed"));
            return h("label", { class: "card" }, input, h("span", {}, queue.name), closed);
        });
        this.cards.replaceChildren(...cards);
    }

    #problem() {
        const { refusal } = this.#visit;
        const say = (/** @type {import("./texts.js").TextKey} */ key) => this.#speech.say(key);
        switch (refusal?.reason) {
            case undefined:
            case "blocked":
            case "closed":
                return "";
            case "queue_closed":
                return refusal.data.next_open_at
                    ? this.#speech.say("refusedClosedUntil", { time: this.#speech.dayAndTime(refusal.data.next_open_at) })
                    : say("refusedClosed");
            case "queue_full":
                return say("refusedFull");
            case "conflict":
                return say("refusedConflict");
            case "too_large":
                return say("tooLong");
            default:
                return say("refusedOther");
        }
    }

    /** @param {KeyboardEvent} event */
    #key(event) {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        this.#begin();
    }

    async #begin() {
        try {
            await this.#visit.begin(this.#chosen, this.message.value.trim(), this.name.value.trim());
            this.message.value = "";
        } catch {
            // The problem is shown.
        }
    }
}
