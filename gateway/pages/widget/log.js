/**
 * What was said, as a list that follows its end unless the visitor reads further up.
 * @typedef {import("./visit.js").Visit} Visit
 * @typedef {import("./texts.js").Speech} Speech
 * @typedef {import("./thread.js").Message} Message
 * @typedef {import("./thread.js").Pending} Pending
 */

import { h, icon, set, write } from "./dom.js";
import { withLinks } from "./links.js";

/** So near the end counts as the end, pixels. */
const NEAR_END = 40;

const CLOCK = ["M12 7v5l3 2", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z"];
const TICK = ["M5 13l4 4L19 7"];
const TICKS = ["M2 13l4 4 9-10", "M12 16l1 1L23 7"];

/** @typedef {{ id: string, element: HTMLElement, update?: (item: any) => void }} Row */

export class Log {
    #visit;
    #speech;
    /** @type {Map<string, Row>} */
    #rows = new Map();
    #isAtEnd = true;
    #fit;

    /**
     * @param {Visit} visit
     * @param {Speech} speech
     * @param {() => void} seen the end came into view
     */
    constructor(visit, speech, seen) {
        this.#visit = visit;
        this.#speech = speech;
        const onscroll = () => {
            this.#isAtEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < NEAR_END;
            if (this.#isAtEnd) this.newest.hidden = true;
            if (this.#isAtEnd) seen();
        };
        this.list = h("div", { class: "log", role: "log", tabindex: 0, "aria-label": speech.say("log"), onscroll });
        this.newest = h("button", { class: "newest", type: "button", hidden: true, onclick: () => this.toEnd() }, speech.say("toNewest"));
        this.element = h("div", { class: "scroller" }, this.list, this.newest);
        // A notice above or a growing text below must not cover what was said last.
        this.#fit = new ResizeObserver(() => this.#isAtEnd && this.toEnd());
        this.#fit.observe(this.list);
    }

    stop() {
        this.#fit.disconnect();
    }

    /** Is the newest message in view? */
    get isAtEnd() {
        return this.#isAtEnd;
    }

    toEnd() {
        this.#isAtEnd = true;
        this.newest.hidden = true;
        this.list.scrollTop = this.list.scrollHeight;
    }

    update() {
        const { thread } = this.#visit;
        const wanted = thread ? this.#wanted(thread) : [];
        const ids = new Set(wanted.map(({ id }) => id));
        for (const [id, row] of this.#rows) {
            if (ids.has(id)) continue;
            row.element.remove();
            this.#rows.delete(id);
        }
        let hasGrown = false;
        /** @type {Element | null} */
        let next = this.list.firstElementChild;
        for (const { id, make, item } of wanted) {
            let row = this.#rows.get(id);
            if (!row) {
                this.#rows.set(id, (row = { id, ...make() }));
                hasGrown = true;
            }
            row.update?.(item);
            if (row.element === next) next = next.nextElementSibling;
            else this.list.insertBefore(row.element, next);
        }
        if (this.#isAtEnd) this.toEnd();
        else if (hasGrown && wanted.at(-1)?.item?.isMine !== true) this.newest.hidden = false;
        else if (hasGrown) this.toEnd();
    }

    /**
     * What is to be shown, in order.
     * @param {import("./thread.js").Thread} thread
     * @returns {{ id: string, item?: any, make: () => Omit<Row, "id"> }[]}
     */
    #wanted(thread) {
        const wanted = [];
        let day = "";
        let speaker = "";
        const now = this.#visit.now();
        /** @param {number} at */
        const beginDay = (at) => {
            const its = this.#speech.day(at, now);
            if (its === day) return;
            day = its;
            speaker = "";
            wanted.push({ id: `day ${its}`, make: () => ({ element: h("div", { class: "day" }, its) }) });
        };
        for (const entry of thread.entries) {
            beginDay(entry.at);
            if (entry.kind === "line") {
                speaker = "";
                wanted.push({ id: `${entry.seq}`, make: () => ({ element: h("div", { class: "line" }, this.#line(entry)) }) });
                continue;
            }
            const by = entry.isMine ? "me" : `agent ${entry.author}`;
            const isFirst = by !== speaker;
            speaker = by;
            const isRead = entry.seq <= thread.readByAgent;
            const item = { isMine: entry.isMine, state: isRead ? "read" : "delivered", at: entry.at };
            wanted.push({ id: entry.key ?? `${entry.seq}`, item, make: () => this.#message(entry, isFirst) });
        }
        for (const pending of thread.pending) {
            beginDay(pending.at);
            const isFirst = speaker !== "me";
            speaker = "me";
            const item = { isMine: true, state: pending.hasFailed ? "failed" : "sending", at: pending.at, key: pending.key };
            wanted.push({ id: pending.key, item, make: () => this.#message({ ...pending, isMine: true, author: "" }, isFirst) });
        }
        return wanted;
    }

    /** @param {import("./thread.js").Line} line */
    #line(line) {
        const name = line.name || this.#speech.say("someone");
        const queue = this.#visit.queues?.find((queue) => queue.id === line.queue)?.name ?? "";
        return this.#speech.say(line.what, { name, queue });
    }

    /**
     * @param {{ isMine: boolean, author: string, text: string }} message
     * @param {boolean} isFirst of several by the same author
     */
    #message({ isMine, author, text }, isFirst) {
        const name = isMine ? this.#speech.say("you") : author || this.#speech.say("someone");
        const time = h("time");
        const mark = h("span");
        const failed = h("div", { class: "failed", hidden: true });
        const element = h(
            "div",
            { class: `message${isMine ? " mine" : ""}${isFirst ? " first" : ""}` },
            h("span", { class: isFirst && !isMine ? "author" : "hidden" }, name),
            h("div", { class: "bubble" }, h("div", { class: "text" }, ...withLinks(text)), h("div", { class: "meta" }, time, mark)),
            failed,
        );
        let shown = "";
        const update = (/** @type {{ state: string, at: number, key?: string }} */ { state, at, key }) => {
            write(time, this.#speech.time(at));
            set(time, "datetime", new Date(at).toISOString());
            if (!isMine || shown === state) return;
            shown = state;
            element.classList.toggle("unsent", state === "sending" || state === "failed");
            mark.replaceChildren(...this.#mark(state));
            failed.hidden = state !== "failed";
            const retry = () => key && this.#visit.retry(key);
            const button = h("button", { class: "small", type: "button", onclick: retry }, this.#speech.say("retry"));
            failed.replaceChildren(...(state === "failed" ? [this.#speech.say("failed"), button] : []));
        };
        return { element, update };
    }

    /** @param {string} state */
    #mark(state) {
        if (state === "failed") return [];
        const paths = state === "read" ? TICKS : state === "delivered" ? TICK : CLOCK;
        const text = this.#speech.say(state === "read" ? "read" : state === "delivered" ? "delivered" : "sending");
        const drawn = icon(...paths);
        return [drawn, h("span", { class: "hidden" }, text)];
    }
}
