/**
 * After a conversation: the rating, and another one.
 * @typedef {import("./visit.js").Visit} Visit
 * @typedef {import("./texts.js").Speech} Speech
 */

import { h, icon, set, write } from "./dom.js";

const STAR = "M12 3l2.7 5.8 6.3.8-4.6 4.4 1.2 6.3L12 17.2l-5.6 3.1 1.2-6.3L3 9.6l6.3-.8z";

export class Ending {
    #visit;
    #speech;
    #chosen = 0;
    #isSending = false;

    /**
     * @param {Visit} visit
     * @param {Speech} speech
     */
    constructor(visit, speech) {
        this.#visit = visit;
        this.#speech = speech;
        this.marks = [1, 2, 3, 4, 5].map((rating) => {
            const onchange = () => this.#choose(rating);
            const input = h("input", { type: "radio", name: "rating", value: rating, "aria-label": this.#word(rating), onchange });
            return h("label", { class: "mark" }, input, icon(STAR));
        });
        this.chosen = h("p", { class: "chosen", "aria-hidden": "true" });
        this.comment = h("textarea", { rows: 2, maxlength: 2000 });
        this.more = [
            h("label", { class: "field" }, h("span", {}, speech.say("comment")), this.comment),
            h("button", { class: "primary", type: "submit" }, speech.say("rateSend")),
        ];
        const onsubmit = (/** @type {Event} */ event) => {
            event.preventDefault();
            this.#rate();
        };
        const legend = h("legend", {}, speech.say("rateTitle"));
        const fieldset = h("fieldset", {}, legend, h("div", { class: "marks" }, ...this.marks), this.chosen);
        this.form = h("form", { onsubmit, class: "cards" }, fieldset, ...this.more);
        this.thanks = h("p", { class: "thanks", role: "status" });
        this.another = h("button", { class: "small", type: "button", onclick: () => visit.dismiss() }, speech.say("newConversation"));
        this.element = h("div", { class: "ending" }, this.form, this.thanks, this.another);
    }

    focus() {
        (this.form.hidden ? this.another : this.marks[2].querySelector("input"))?.focus();
    }

    update() {
        const { thread, blocked } = this.#visit;
        if (thread?.rating !== undefined) this.#chosen = 0;
        this.form.hidden = thread?.rating !== undefined;
        write(this.thanks, thread?.rating !== undefined ? this.#speech.say("rateThanks") : "");
        this.thanks.hidden = thread?.rating === undefined;
        for (const part of this.more) part.hidden = this.#chosen === 0;
        this.marks.forEach((mark, index) => mark.classList.toggle("on", index < this.#chosen));
        write(this.chosen, this.#chosen ? this.#word(this.#chosen) : "");
        set(this.another, "hidden", blocked !== undefined);
    }

    /** @param {number} rating */
    #choose(rating) {
        this.#chosen = rating;
        this.update();
    }

    async #rate() {
        if (this.#isSending || this.#chosen === 0) return;
        this.#isSending = true;
        await this.#visit.rate(this.#chosen, this.comment.value.trim()).catch((error) => console.warn("jono:", error));
        this.#isSending = false;
        this.comment.value = "";
        this.another.focus();
    }

    /** @param {number} rating */
    #word(rating) {
        return this.#speech.say(/** @type {import("./texts.js").TextKey} */ (`rate${rating}`));
    }
}
