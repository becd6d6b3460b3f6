/**
 * Where the agent writes: answers for the customer, and notes for colleagues. The two never share a text:
 * each has its own draft, its own look and its own button.
 *
 * @module
 */

import * as canned from "./canned.js";
import { attribute, button, h, icon, keyed, text } from "./dom.js";
import { t } from "./i18n.js";
import * as store from "./store.js";

/**
 * @typedef {import("./work.js").Work} Work
 * @typedef {import("./work.js").Mode} Mode
 * @typedef {import("../protocol").Row} Row
 * @typedef {import("../protocol").Canned} Canned
 */

const SUGGESTIONS_MAX = 6;
const HEIGHT_MAX_PX = 220;

export class Composer extends HTMLElement {
    /** @type {Work} */ work;
    #field = h("textarea", { rows: 1, "aria-controls": "suggestions", "aria-autocomplete": "list" });
    #modes = /** @type {Map<Mode, HTMLButtonElement>} */ (new Map());
    #bar = h("p", { class: "bar", hidden: true });
    #send = h("button", { type: "submit", class: "button primary send" });
    #save = h("button", { type: "submit", class: "button note-save" });
    #form = h("form", { class: "composer" });
    #list = h("ul", { class: "suggestions", id: "suggestions", role: "listbox", hidden: true });
    #limit = h("p", { class: "limit", role: "status" });
    /** @type {Row | null} */ #row = null;
    /** Whose draft is in the field. */ #shown = "";
    /** @type {Canned[]} */ #suggested = [];
    #chosen = 0;

    /** @param {Work} work */
    constructor(work) {
        super();
        this.work = work;
    }

    connectedCallback() {
        const modes = h("div", { class: "modes", role: "group", "aria-label": t("write_what") });
        for (const mode of /** @type {const} */ (["reply", "note"])) {
            const one = button({
                icon: mode === "reply" ? "send" : "note",
                label: t(`mode_${mode}`),
                key: mode === "reply" ? "r" : "n",
                class: `mode ${mode}`,
                on: () => this.open(mode),
            });
            this.#modes.set(mode, one);
            modes.append(one);
        }
        this.#send.append(icon("send"), h("span", {}, t("send")));
        this.#save.append(icon("note"), h("span", {}, t("save_note")));
        attribute(this.#list, "aria-label", t("canned"));
        this.#form.append(
            modes,
            this.#bar,
            this.#list,
            h("div", { class: "write" }, this.#field, this.#send, this.#save),
            this.#limit,
        );
        this.#form.addEventListener("submit", (event) => {
            event.preventDefault();
            this.#submit();
        });
        this.#field.addEventListener("input", () => this.#typed());
        this.#field.addEventListener("keydown", (event) => this.#key(event));
        this.#field.addEventListener("blur", () => this.#suggest(null));
        this.replaceChildren(this.#form);
        if (this.#row) this.render(this.#row);
    }

    /**
     * Opens the field in a mode, ready to write.
     *
     * @param {Mode} mode
     */
    open(mode) {
        if (!this.#row) return;
        this.work.setMode(this.#row.id, mode);
        this.render(this.#row);
        this.#field.focus();
    }

    /** The draft was changed elsewhere. */
    reload() {
        this.#shown = "";
        if (this.#row) this.render(this.#row);
        this.#field.focus();
    }

    /**
     * Puts a canned message at the caret.
     *
     * @param {Canned} message
     */
    insert(message) {
        const { selectionStart, selectionEnd, value } = this.#field;
        const done = canned.put(value, selectionStart, selectionEnd, this.#filled(message));
        this.#replace(done.text, done.caret);
        this.#field.focus();
    }

    /** @param {Row} row */
    render(row) {
        const { work } = this;
        this.#row = row;
        const mode = work.mode(row.id);
        const isNote = mode === "note";
        const isMine = row.state === "active" && store.isMine(work.state, row);
        const talk = work.state.talks.get(row.id);
        const why =
            isNote || isMine
                ? talk?.blocked && !isNote
                    ? "bar_blocked"
                    : null
                : row.state === "closed"
                  ? "bar_closed"
                  : row.state === "waiting"
                    ? "bar_waiting"
                    : "bar_held";
        attribute(this.#form, "data-mode", mode);
        for (const [one, element] of this.#modes) attribute(element, "aria-pressed", String(one === mode));
        const shown = `${row.id} ${mode}`;
        if (this.#shown !== shown) {
            this.#shown = shown;
            this.#field.value = work.draft(row.id)[mode];
            this.#suggest(null);
            this.#grow();
        }
        const mayWrite = isNote || isMine;
        this.#field.readOnly = !mayWrite;
        attribute(this.#form, "data-closed", !mayWrite);
        attribute(
            this.#field,
            "aria-label",
            t(isNote ? "note_field" : "reply_field", { name: row.customer.name || t("nameless") }),
        );
        attribute(this.#field, "placeholder", mayWrite ? t(isNote ? "note_hint" : "reply_hint") : "");
        this.#bar.hidden = why === null && !isNote;
        text(this.#bar, isNote ? t("bar_note") : why ? t(why, { name: row.holder?.name || t("somebody") }) : "");
        this.#send.hidden = isNote;
        this.#save.hidden = !isNote;
        this.#check();
    }

    #check() {
        const { work } = this;
        const bytes = new TextEncoder().encode(this.#field.value).length;
        const isOver = bytes > work.state.messageBytes;
        const isEmpty = this.#field.value.trim() === "";
        this.#send.disabled = this.#save.disabled = isEmpty || isOver || this.#field.readOnly;
        text(this.#limit, isOver ? t("too_long", { n: bytes - work.state.messageBytes }) : "");
    }

    #typed() {
        const row = this.#row;
        if (!row) return;
        const { work } = this;
        const mode = work.mode(row.id);
        work.keepDraft(row.id, mode, this.#field.value);
        if (mode === "reply" && this.#field.value !== "" && !this.#field.readOnly) work.types(row.id);
        this.#grow();
        this.#check();
        const typed = canned.typed(this.#field.value, this.#field.selectionStart);
        this.#suggest(typed?.keyword ?? null);
    }

    /** @param {string | null} keyword */
    #suggest(keyword) {
        const found = keyword === null ? [] : canned.matching(this.work.state.canned, keyword).slice(0, SUGGESTIONS_MAX);
        this.#suggested = found;
        this.#chosen = Math.min(this.#chosen, Math.max(0, found.length - 1));
        this.#list.hidden = found.length === 0;
        keyed(
            this.#list,
            found,
            (one) => `${one.scope} ${one.keyword} ${one.text}`,
            (one) => {
                const item = h("li", { role: "option" }, h("b", {}, `/${one.keyword}`), h("span", {}, one.text));
                // The focus stays in the field.
                item.addEventListener("pointerdown", (event) => event.preventDefault());
                item.addEventListener("click", () => this.#expand(one));
                return item;
            },
        );
        [...this.#list.children].forEach((item, index) => {
            item.id = `suggestion-${index}`;
            attribute(item, "aria-selected", String(index === this.#chosen));
        });
        attribute(this.#field, "aria-activedescendant", found.length > 0 ? `suggestion-${this.#chosen}` : null);
    }

    /** @param {KeyboardEvent} event */
    #key(event) {
        if (event.isComposing) return;
        const isOpen = this.#suggested.length > 0;
        const typed = canned.typed(this.#field.value, this.#field.selectionStart);
        if (event.key === " " && typed && this.#field.selectionStart === this.#field.selectionEnd) {
            const message = canned.named(this.work.state.canned, typed.keyword);
            if (message && typed.keyword && !this.#field.readOnly) {
                event.preventDefault();
                this.#expand(message);
            }
        } else if (isOpen && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
            event.preventDefault();
            const count = this.#suggested.length;
            this.#chosen = (this.#chosen + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
            this.#suggest(typed?.keyword ?? null);
        } else if (isOpen && (event.key === "Tab" || event.key === "Enter") && !event.shiftKey) {
            // Enter too: half a keyword is nothing that a customer should get.
            event.preventDefault();
            this.#expand(this.#suggested[this.#chosen]);
        } else if (event.key === "Escape") {
            event.preventDefault();
            if (isOpen) this.#suggest(null);
            else this.dispatchEvent(new CustomEvent("leave-field", { bubbles: true }));
        } else if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
            event.preventDefault();
            this.#submit();
        }
    }

    /** @param {Canned | undefined} message */
    #expand(message) {
        const caret = this.#field.selectionStart;
        const typed = canned.typed(this.#field.value, caret);
        if (!message || !typed) return;
        const done = canned.put(this.#field.value, typed.from, caret, this.#filled(message));
        this.#replace(done.text, done.caret);
    }

    /** @param {Canned} message */
    #filled(message) {
        const { state } = this.work;
        const row = this.#row;
        return canned.filled(message.text, {
            agent: state.me?.name,
            customer: row?.customer.name,
            queue: row ? state.queues.get(row.queue)?.name : undefined,
        });
    }

    /**
     * @param {string} value
     * @param {number} caret
     */
    #replace(value, caret) {
        this.#field.value = value;
        this.#field.setSelectionRange(caret, caret);
        this.#typed();
        this.#suggest(null);
    }

    #submit() {
        const row = this.#row;
        const value = this.#field.value.trim();
        if (!row || value === "" || this.#send.disabled) return;
        const { work } = this;
        const mode = work.mode(row.id);
        // The draft in the field must be the one of this mode: a note never goes where an answer should.
        if (this.#shown !== `${row.id} ${mode}`) return;
        this.#field.value = "";
        work.keepDraft(row.id, mode, "");
        this.#suggest(null);
        this.#grow();
        this.#check();
        void work.write(row.id, mode === "note" ? "note" : "message", value);
    }

    #grow() {
        this.#field.style.height = "auto";
        this.#field.style.height = `${Math.min(HEIGHT_MAX_PX, this.#field.scrollHeight + 2)}px`;
    }
}

customElements.define("jono-composer", Composer);
