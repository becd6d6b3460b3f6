/**
 * The middle pane: one conversation, what can be done with it, and what was said.
 *
 * @module
 */

import { Composer } from "./composer.js";
import * as dialogs from "./dialogs.js";
import { attribute, button, h, icon, keyed, linked, text } from "./dom.js";
import { date, lasted, moment, t, time } from "./i18n.js";
import * as store from "./store.js";
import { set, ticking } from "./ticks.js";

/**
 * @typedef {import("./work.js").Work} Work
 * @typedef {import("./store.js").Talk} Talk
 * @typedef {import("./store.js").Pending} Pending
 * @typedef {import("../protocol").Row} Row
 * @typedef {import("../protocol").ConversationEvent} Event
 */

/** Messages of one person within this time stand together under one name. */
const TOGETHER_MS = 3 * 60_000;
/** So near to the end, new messages move the view along. */
const NEAR_END_PX = 80;

export class TalkPane extends HTMLElement {
    /** @type {Work} */ work;
    /** @type {Composer} */ composer;
    #head = h("header", { class: "head", hidden: true });
    #name = h("h2", { tabindex: -1 });
    #about = h("p", { class: "about" });
    #actions = h("div", { class: "actions", role: "group" });
    #release = deadline("deadline_release");
    #close = deadline("deadline_close");
    #deadlines = h("div", { class: "deadlines", hidden: true });
    #entries = h("div", { class: "entries" });
    #earlier = h("button", { type: "button", class: "button more", hidden: true });
    #log = h("div", { class: "log", role: "log", tabindex: 0 }, this.#earlier, this.#entries);
    #typing = h("p", { class: "typing", "aria-live": "off" });
    #jump = h("button", { type: "button", class: "button jump", hidden: true }, icon("down"));
    #nothing = h("div", { class: "nothing" });
    #body = h("div", { class: "body", hidden: true });
    /** What is drawn. @type {string | null} */ #drawn = null;
    /** @type {number | null} */ #target = null;
    #atEnd = true;
    /** Where the agent is about to write. @type {string | null} */ #opening = null;
    /** @type {{[name: string]: HTMLButtonElement}} */ #buttons = {};

    /** @param {Work} work */
    constructor(work) {
        super();
        this.work = work;
        this.composer = new Composer(work);
    }

    connectedCallback() {
        const { work } = this;
        const act = (/** @type {(id: string) => unknown} */ does) => () => void (work.selected && does(work.selected));
        this.#buttons = {
            take: button({ icon: "hand", label: t("take"), key: "t", class: "primary", on: act((id) => work.take(id)) }),
            assign: button({ icon: "person", label: t("assign"), key: "a", on: act((id) => dialogs.assign(work, id)) }),
            transfer: button({ icon: "move", label: t("transfer"), key: "m", on: act((id) => dialogs.transfer(work, id)) }),
            release: button({ icon: "return", label: t("release"), key: "u", on: act((id) => work.release(id)) }),
            close: button({ icon: "check", label: t("close"), key: "x", on: act((id) => dialogs.close(work, id)) }),
        };
        this.#actions.append(...Object.values(this.#buttons));
        attribute(this.#actions, "aria-label", t("actions"));
        const back = button({ icon: "back", label: t("back"), class: "back", quiet: true, on: () => (location.hash = "") });
        const customer = button({
            icon: "info",
            label: t("customer_pane"),
            key: "i",
            class: "aside-toggle",
            quiet: true,
            on: () => this.dispatchEvent(new CustomEvent("toggle-customer", { bubbles: true })),
        });
        this.#head.append(back, h("div", { class: "title" }, this.#name, this.#about), this.#actions, customer);
        const keep = button({ icon: "clock", label: t("keep"), key: "e", class: "keep small", on: act((id) => work.keep(id)) });
        this.#buttons["keep"] = keep;
        this.#deadlines.append(this.#release.element, keep, this.#close.element);
        attribute(this.#log, "aria-label", t("conversation"));
        text(this.#earlier, t("earlier"));
        this.#earlier.addEventListener(
            "click",
            act((id) => work.readBefore(id)),
        );
        attribute(this.#jump, "aria-label", t("jump"));
        attribute(this.#jump, "title", t("jump"));
        this.#jump.addEventListener("click", () => this.#toEnd());
        this.#log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
        this.#body.append(h("div", { class: "log-frame" }, this.#log, this.#jump), this.#typing, this.composer);
        this.replaceChildren(this.#head, this.#deadlines, this.#body, this.#nothing);
        new ResizeObserver(() => {
            if (this.#atEnd) this.#toEnd();
        }).observe(this.#log);
        this.render();
    }

    focusName() {
        this.#name.focus({ preventScroll: true });
    }

    /**
     * Opens the field as soon as the conversation is there.
     *
     * @param {string} conversation
     */
    write(conversation) {
        this.#opening = conversation;
        this.render();
    }

    /** Does what the button does, if it is to be seen. @param {string} name */
    press(name) {
        const found = this.#buttons[name];
        if (found && !found.hidden && !found.disabled && found.offsetParent !== null) found.click();
    }

    render() {
        const { work } = this;
        const id = work.selected;
        const row = id ? work.state.rows.get(id) : undefined;
        const talk = id ? work.state.talks.get(id) : undefined;
        const isThere = row !== undefined && talk !== undefined && talk.events.length > 0;
        this.#head.hidden = this.#body.hidden = !isThere;
        this.#nothing.hidden = isThere;
        if (!isThere) {
            this.#deadlines.hidden = true;
            this.#drawn = null;
            return this.#renderNothing();
        }
        const isOther = this.#drawn !== id;
        this.#drawn = id;
        this.#renderHead(row);
        this.#renderDeadlines(row);
        this.#renderLog(row, talk, isOther);
        this.#renderTyping(talk, row);
        this.composer.render(row);
        if (this.#opening === id) {
            this.#opening = null;
            this.composer.open(work.mode(row.id));
        }
    }

    #renderNothing() {
        const { work } = this;
        const waiting = store.lists(work.state).waiting.length;
        const isEmpty = work.selected === null;
        const state = isEmpty ? (waiting > 0 ? "some" : "none") : (work.missing ?? "loading");
        if (this.#nothing.dataset["state"] === `${state} ${waiting}`) return;
        this.#nothing.dataset["state"] = `${state} ${waiting}`;
        if (!isEmpty) {
            const back = button({ icon: "back", label: t("back"), on: () => (location.hash = "") });
            const why = state === "loading" ? t("loading") : t(`error_${state}`);
            return this.#nothing.replaceChildren(h("p", {}, why), back);
        }
        this.#nothing.replaceChildren(
            h("div", { class: "rest" }, icon(waiting > 0 ? "hand" : "check")),
            h("p", { class: "big" }, waiting > 0 ? t("waiting", { n: waiting }) : t("rest")),
            waiting > 0
                ? button({ icon: "hand", label: t("pick"), key: "p", class: "primary", on: () => void work.pick() })
                : h("p", { class: "hint" }, t("rest_hint")),
        );
    }

    /** @param {Row} row */
    #renderHead(row) {
        const { work } = this;
        const isMine = store.isMine(work.state, row);
        text(this.#name, row.customer.name || t("nameless"));
        const holder = isMine ? t("state_mine") : t("state_held", { name: row.holder?.name || t("somebody") });
        const state = row.state === "waiting" ? t("state_waiting") : row.state === "closed" ? t("state_closed") : holder;
        text(this.#about, [work.state.queues.get(row.queue)?.name, state].filter(Boolean).join(" · "));
        attribute(this.#about, "data-state", isMine && row.state === "active" ? "mine" : row.state);
        const isOpen = row.state !== "closed";
        const shown = {
            take: row.state === "waiting",
            assign: isOpen && (isMine || row.state === "waiting"),
            transfer: isOpen && (isMine || row.state === "waiting"),
            release: isMine && row.state === "active",
            close: isMine && row.state === "active",
        };
        for (const [name, isShown] of Object.entries(shown)) {
            const one = /** @type {HTMLButtonElement} */ (this.#buttons[name]);
            one.hidden = !isShown;
            one.disabled = !work.isOnline;
        }
        const assign = this.#buttons["assign"]?.querySelector("span");
        if (assign) text(assign, t(isMine ? "hand_over" : "assign"));
    }

    /** @param {Row} row */
    #renderDeadlines(row) {
        const { work } = this;
        const now = work.now();
        const isMine = store.isMine(work.state, row);
        const release = row.state === "active" ? row.release_at : undefined;
        const close = row.state === "closed" ? undefined : row.close_at;
        set(this.#release.time, release, now);
        set(this.#close.time, close, now);
        this.#release.element.hidden = release === undefined;
        this.#close.element.hidden = close === undefined;
        const keep = /** @type {HTMLButtonElement} */ (this.#buttons["keep"]);
        keep.hidden = !isMine || release === undefined;
        keep.disabled = !work.isOnline;
        this.#deadlines.hidden = release === undefined && close === undefined;
    }

    /**
     * @param {Row} row
     * @param {Talk} talk
     * @param {boolean} isOther Another conversation than before.
     */
    #renderLog(row, talk, isOther) {
        const { work } = this;
        const wasAtEnd = isOther || this.#atEnd;
        const first = talk.events[0]?.seq;
        const heightBefore = this.#log.scrollHeight;
        const firstBefore = this.#entries.dataset["first"];
        // While it is being filled, a screen reader should not read the whole log aloud.
        attribute(this.#log, "aria-live", isOther ? "off" : "polite");
        this.#earlier.hidden = talk.from === 0;
        const read = store.readByCustomer(talk);
        const lastRead = talk.events.findLast(
            (one) => one.type === "message" && one.seq <= read && store.speaker(work.state, one.by) === "me",
        );
        keyed(
            this.#entries,
            [...entries(talk.events), ...talk.pending.map((pending) => ({ pending }))],
            (entry) => ("pending" in entry ? `pending ${entry.pending.key}` : `${talk.id} ${entry.event.seq} ${entry.isDay}`),
            (entry) => ("pending" in entry ? this.#makePending(talk.id, entry.pending) : this.#make(entry, row)),
            (element, entry) => {
                if ("pending" in entry) this.#updatePending(element, entry.pending);
                else this.#update(element, entry, entry.event === lastRead);
            },
        );
        this.#entries.dataset["first"] = String(first);
        if (isOther || this.#target !== work.target) {
            this.#target = work.target;
            if (work.target !== null && this.#reveal(work.target)) return;
        }
        if (wasAtEnd) this.#toEnd();
        else if (firstBefore !== undefined && Number(firstBefore) > (first ?? 0)) {
            // What was read before goes on top, and nothing moves.
            this.#log.scrollTop += this.#log.scrollHeight - heightBefore;
        }
        this.#scrolled();
        const isWatched = document.visibilityState === "visible" && document.hasFocus();
        if (isWatched && this.#atEnd) work.seen(talk.id);
    }

    /**
     * @param {number} seq
     * @returns {boolean}
     */
    #reveal(seq) {
        const { work } = this;
        const found = this.#entries.querySelector(`[data-seq="${CSS.escape(String(seq))}"]`);
        for (const old of this.#entries.querySelectorAll("[data-target]")) old.removeAttribute("data-target");
        if (!found) {
            // It was said before what is here: read on, and look again.
            const talk = work.selected ? work.state.talks.get(work.selected) : undefined;
            if (talk && talk.from >= seq) {
                this.#target = null;
                void work.readBefore(talk.id);
            }
            return false;
        }
        found.setAttribute("data-target", "");
        found.scrollIntoView({ block: "center" });
        this.#atEnd = false;
        return true;
    }

    #toEnd() {
        this.#log.scrollTop = this.#log.scrollHeight;
        this.#scrolled();
    }

    #scrolled() {
        const { scrollTop, clientHeight, scrollHeight } = this.#log;
        this.#atEnd = scrollTop + clientHeight >= scrollHeight - NEAR_END_PX;
        this.#jump.hidden = this.#atEnd;
    }

    /**
     * @typedef {{event: Event, isDay: boolean, isTogether: boolean}} Entry
     * @param {Entry} entry
     * @param {Row} row
     * @returns {HTMLElement}
     */
    #make({ event, isDay, isTogether }, row) {
        const { state } = this.work;
        const separator = isDay && h("p", { class: "day" }, h("span", {}, date(event.at)));
        const kind = store.speaker(state, event.by);
        if (event.type !== "message" && event.type !== "note") {
            const said = told(event, this.work, row);
            return h(
                "div",
                { class: `entry system ${event.type}`, data: { seq: event.seq } },
                separator,
                said && h("p", { class: "told" }, h("span", {}, said), stamp(event.at)),
            );
        }
        const name = speakerName(event, kind, row);
        const isNote = event.type === "note";
        const badge = isNote ? "note_badge" : kind === "bot" ? "bot" : null;
        return h(
            "div",
            { class: `entry ${isNote ? "note" : kind}`, data: { seq: event.seq, together: isTogether && !isDay } },
            separator,
            h(
                "div",
                { class: "who" },
                isNote && icon("note"),
                h("b", {}, name),
                badge && h("span", { class: "badge" }, t(badge)),
                stamp(event.at),
            ),
            h("div", { class: "bubble", title: moment(event.at) }, ...linked(event.body.text)),
            h("p", { class: "mark", hidden: true }, t("read")),
        );
    }

    /**
     * @param {HTMLElement} element
     * @param {Entry} entry
     * @param {boolean} isLastRead
     */
    #update(element, { isDay, isTogether }, isLastRead) {
        attribute(element, "data-together", isTogether && !isDay ? "true" : null);
        const mark = /** @type {HTMLElement | null} */ (element.querySelector(".mark"));
        if (mark) mark.hidden = !isLastRead;
    }

    /**
     * @param {string} conversation
     * @param {Pending} pending
     */
    #makePending(conversation, pending) {
        const { work } = this;
        const isNote = pending.type === "note";
        const again = () => {
            const was = work.putAway(conversation, pending.key);
            if (!was) return;
            work.keepDraft(
                conversation,
                isNote ? "note" : "reply",
                [work.draft(conversation)[isNote ? "note" : "reply"], was.text].filter(Boolean).join("\n"),
            );
            work.setMode(conversation, isNote ? "note" : "reply");
            this.composer.reload();
        };
        return h(
            "div",
            { class: `entry pending ${isNote ? "note" : "me"}`, data: { together: true } },
            h("div", { class: "bubble" }, pending.text),
            h("p", { class: "mark" }),
            h(
                "p",
                { class: "failed", hidden: true },
                h("span"),
                button({ icon: "edit", label: t("back_to_field"), class: "small", on: again }),
                button({
                    icon: "close",
                    label: t("discard"),
                    class: "small",
                    on: () => void work.putAway(conversation, pending.key),
                }),
            ),
        );
    }

    /**
     * @param {HTMLElement} element
     * @param {Pending} pending
     */
    #updatePending(element, pending) {
        const mark = /** @type {HTMLElement} */ (element.querySelector(".mark"));
        const failed = /** @type {HTMLElement} */ (element.querySelector(".failed"));
        mark.hidden = pending.error !== undefined;
        text(mark, t(this.work.isOnline ? "sending" : "sending_offline"));
        failed.hidden = pending.error === undefined;
        attribute(element, "data-failed", pending.error !== undefined);
        if (pending.error) text(/** @type {Element} */ (failed.firstElementChild), t("not_sent", { why: t(pending.error) }));
    }

    /**
     * @param {Talk} talk
     * @param {Row} row
     */
    #renderTyping(talk, row) {
        const now = Date.now();
        const who = [...talk.typing.values()].filter((typed) => now - typed.at < store.TYPING_MS && row.state !== "closed");
        const names = who.map(({ by }) => (by.kind === "agent" ? by.name : row.customer.name || t("nameless")));
        const preview = who.find((typed) => typed.preview)?.preview;
        text(
            this.#typing,
            names.length === 0
                ? ""
                : preview
                  ? `${names[0]}: ${preview}…`
                  : t("typing", { n: names.length, names: names.join(", ") }),
        );
        attribute(this.#typing, "data-typing", names.length > 0);
    }
}

/** @param {string} label */
function deadline(label) {
    const left = ticking("left");
    return { time: left, element: h("span", { class: "deadline", hidden: true }, icon("clock"), h("span", {}, t(label)), left) };
}

/** @param {number} at */
function stamp(at) {
    return h("time", { datetime: new Date(at).toISOString(), title: moment(at) }, time(at));
}

/**
 * @param {Event[]} events
 * @returns {Entry[]}
 */
function entries(events) {
    return events.map((event, index) => {
        const before = events[index - 1];
        const isDay = !before || new Date(before.at).toDateString() !== new Date(event.at).toDateString();
        const isTogether =
            before !== undefined && before.type === event.type && sameBy(before, event) && event.at - before.at < TOGETHER_MS;
        return { event, isDay: isDay && index > 0, isTogether };
    });
}

/**
 * @param {Event} a
 * @param {Event} b
 */
function sameBy(a, b) {
    return a.by.kind === b.by.kind && (a.by.kind === "system" || b.by.kind === "system" || a.by.id === b.by.id);
}

/**
 * @param {Event} event
 * @param {string} kind
 * @param {Row} row
 */
function speakerName(event, kind, row) {
    if (kind === "me") return t("you");
    if (event.by.kind === "agent") return event.by.name || t("somebody");
    return event.by.kind === "customer" ? row.customer.name || t("nameless") : t("system");
}

/**
 * What happened, in words; nothing for what is shown elsewhere.
 *
 * @param {Event} event
 * @param {Work} work
 * @param {Row} row
 * @returns {string | null}
 */
function told(event, work, row) {
    const { state } = work;
    const queue = (/** @type {string} */ id) => state.queues.get(id)?.name || t("other_queue");
    const agent = (/** @type {{id: string, name: string} | undefined} */ one) => (one ? one.name || t("somebody") : "");
    const by = event.by.kind === "agent" ? event.by.name || t("somebody") : t("system");
    const customer = row.customer.name || t("nameless");
    switch (event.type) {
        case "started":
            return t("event_started", { name: customer });
        case "queued":
            return t(event.body.position ? "event_queued_at" : "event_queued", {
                queue: queue(event.body.queue),
                position: event.body.position,
            });
        case "claimed":
            return t("event_claimed", { name: agent(event.body.agent) });
        case "released":
            return t(event.body.cause === "inactive" ? "event_released_inactive" : "event_released", {
                name: agent(event.body.agent),
            });
        case "assigned":
            return t("event_assigned", { by, name: agent(event.body.to) });
        case "transferred":
            return t("event_transferred", { by, from: queue(event.body.from), to: queue(event.body.to) });
        case "tagged":
            return t("event_tagged", { by, tag: event.body.tag });
        case "untagged":
            return t("event_untagged", { by, tag: event.body.tag });
        case "prioritised":
            return t("event_prioritised", { by, priority: event.body.priority });
        case "blocked":
            return event.body.until === undefined
                ? t("event_blocked", { by, name: customer })
                : t("event_blocked_for", {
                      by,
                      name: customer,
                      time: lasted(Math.round((event.body.until - event.at) / 60_000) * 60_000),
                  });
        case "unblocked":
            return t("event_unblocked", { by, name: customer });
        case "closed":
            return t(`event_closed_${event.body.cause}`, { by, name: customer });
        case "rated":
            return t(event.body.comment ? "event_rated_comment" : "event_rated", {
                name: customer,
                rating: event.body.rating,
                comment: event.body.comment,
            });
        default:
            // Metadata is shown beside the conversation; what newer servers say is not known here.
            return null;
    }
}

customElements.define("jono-talk", TalkPane);
