/**
 * The right pane: what is known about the customer, tags, notes, canned messages.
 *
 * @module
 */

import * as dialogs from "./dialogs.js";
import { attribute, button, colour, h, keyed, linked, text } from "./dom.js";
import { moment, t, time } from "./i18n.js";
import * as canned from "./canned.js";
import { set, ticking } from "./ticks.js";

/**
 * @typedef {import("./work.js").Work} Work
 * @typedef {import("./store.js").Talk} Talk
 * @typedef {import("../protocol").Row} Row
 * @typedef {import("../protocol").Canned} Canned
 */

/** A change of metadata is marked for so long. */
const CHANGED_MS = 20_000;
/** Facts that pages tell, in the order in which they are read. Others follow as they came. */
const KNOWN = [
    "page",
    "url",
    "title",
    "start_page",
    "referrer",
    "language",
    "locale",
    "timezone",
    "browser",
    "user_agent",
    "platform",
    "screen",
    "window",
    "ip",
    "location",
    "open_pages",
    "time_on_site",
    "email",
    "phone",
];

export class CustomerPane extends HTMLElement {
    /** @type {Work} */ work;
    #name = h("h2", { tabindex: -1 });
    #connected = h("p", { class: "connection-of" });
    #facts = h("dl", { class: "facts" });
    #rating = h("p", { class: "rating", hidden: true });
    #blockedBar = h("p", { class: "blocked", hidden: true });
    #block = h("button", { type: "button", class: "button small" });
    #known = h("dl", { class: "facts" });
    #folded = h("div", { class: "folded" });
    #noData = h("p", { class: "empty" });
    #tags = h("ul", { class: "tags" });
    #addTag = h("select", { class: "add-tag" });
    #notes = h("ul", { class: "notes" });
    #noNotes = h("p", { class: "empty" });
    #canned = h("ul", { class: "canned" });
    #noCanned = h("p", { class: "empty" });
    #priority = h("select", {});
    #waited = ticking("lasted");
    #content = h("div", { class: "content", hidden: true });
    #nothing = h("p", { class: "empty" });

    /** @param {Work} work */
    constructor(work) {
        super();
        this.work = work;
    }

    connectedCallback() {
        const { work } = this;
        const close = button({
            icon: "close",
            label: t("hide_customer"),
            class: "aside-close",
            quiet: true,
            on: () => this.dispatchEvent(new CustomEvent("toggle-customer", { bubbles: true })),
        });
        text(this.#nothing, t("no_customer"));
        this.#block.addEventListener("click", () => {
            const talk = work.selected ? work.state.talks.get(work.selected) : undefined;
            if (!talk) return;
            if (talk.blocked) void work.unblock(talk.id);
            else dialogs.block(work, talk.id);
        });
        for (let priority = 9; priority >= -9; priority -= 1) {
            this.#priority.append(h("option", { value: priority }, priority > 0 ? `+${priority}` : String(priority)));
        }
        this.#priority.addEventListener("change", () => {
            if (work.selected) void work.priority(work.selected, Number(this.#priority.value));
        });
        attribute(this.#addTag, "aria-label", t("add_tag"));
        this.#addTag.addEventListener("change", () => {
            const tag = this.#addTag.value;
            this.#addTag.value = "";
            if (tag && work.selected) void work.tag(work.selected, tag, true);
        });
        const addNote = button({
            icon: "plus",
            label: t("add_note"),
            class: "small",
            on: () => this.dispatchEvent(new CustomEvent("write-note", { bubbles: true })),
        });
        const manage = button({ icon: "edit", label: t("manage_canned"), class: "small", on: () => dialogs.canned(work) });
        this.#content.append(
            section(
                "",
                h("div", { class: "who" }, this.#name, this.#connected),
                this.#blockedBar,
                this.#rating,
                this.#facts,
                h("div", { class: "inline" }, h("label", { class: "priority" }, t("priority"), " ", this.#priority), this.#block),
            ),
            section(t("tags"), this.#tags, this.#addTag),
            section(t("notes"), this.#notes, this.#noNotes, addNote),
            section(t("about"), this.#known, this.#folded, this.#noData),
            h("details", { class: "section" }, h("summary", {}, h("h3", {}, t("canned"))), this.#canned, this.#noCanned, manage),
        );
        text(this.#noData, t("empty_about"));
        text(this.#noNotes, t("empty_notes"));
        text(this.#noCanned, t("empty_canned"));
        this.replaceChildren(close, this.#content, this.#nothing);
        this.render();
    }

    focusName() {
        this.#name.focus({ preventScroll: true });
    }

    render() {
        const { work } = this;
        const row = work.selected ? work.state.rows.get(work.selected) : undefined;
        const talk = work.selected ? work.state.talks.get(work.selected) : undefined;
        this.#content.hidden = !row || !talk;
        this.#nothing.hidden = !this.#content.hidden;
        if (!row || !talk) return;
        this.#renderCustomer(row, talk);
        this.#renderTags(row);
        this.#renderNotes(talk);
        this.#renderKnown(talk);
        this.#renderCanned(row);
    }

    /**
     * @param {Row} row
     * @param {Talk} talk
     */
    #renderCustomer(row, talk) {
        const { work } = this;
        const now = work.now();
        text(this.#name, row.customer.name || t("nameless"));
        text(this.#connected, t(row.customer.connected ? "connected" : "disconnected"));
        attribute(this.#connected, "data-on", row.customer.connected);
        set(this.#waited, row.waiting_since, now);
        /** @type {[string, string | Node][]} */
        const facts = [
            [t("queue"), work.state.queues.get(row.queue)?.name || t("other_queue")],
            [t("started"), moment(row.started_at)],
        ];
        if (row.state === "waiting") facts.push([t("waits"), this.#waited]);
        definitions(this.#facts, facts);
        this.#rating.hidden = talk.rating === null;
        text(this.#rating, talk.rating === null ? "" : `${"★".repeat(talk.rating)}${"☆".repeat(5 - talk.rating)}`);
        attribute(this.#rating, "role", "img");
        attribute(this.#rating, "aria-label", talk.rating === null ? null : t("rating_is", { n: talk.rating }));
        this.#blockedBar.hidden = talk.blocked === null;
        const until = talk.blocked?.until;
        text(this.#blockedBar, until === undefined ? t("blocked") : t("blocked_until", { time: moment(until) }));
        text(this.#block, t(talk.blocked ? "unblock" : "block"));
        this.#block.disabled = !work.isOnline;
        if (document.activeElement !== this.#priority) this.#priority.value = String(row.priority);
        this.#priority.disabled = !work.isOnline || row.state === "closed";
    }

    /** @param {Row} row */
    #renderTags(row) {
        const { work } = this;
        const definition = (/** @type {string} */ tag) => work.state.tags.find((one) => one.tag === tag);
        keyed(
            this.#tags,
            row.tags,
            (tag) => tag,
            (tag) => {
                const remove = button({
                    icon: "close",
                    label: t("remove_tag", { tag }),
                    quiet: true,
                    on: () => void (work.selected && work.tag(work.selected, tag, false)),
                });
                return h("li", { class: "tag" }, h("span", {}, tag), remove);
            },
            (element, tag) => element.style.setProperty("--tag", colour(definition(tag)?.colour)),
        );
        const free = work.state.tags.filter(({ tag }) => !row.tags.includes(tag));
        const key = JSON.stringify(free);
        this.#addTag.hidden = free.length === 0;
        this.#addTag.disabled = !work.isOnline;
        if (this.#addTag.dataset["tags"] === key) return;
        this.#addTag.dataset["tags"] = key;
        const groups = [...new Set(free.map(({ group }) => group ?? ""))].sort();
        const option = (/** @type {{tag: string}} */ { tag }) => h("option", { value: tag }, tag);
        this.#addTag.replaceChildren(
            h("option", { value: "" }, t("add_tag")),
            ...groups.flatMap((group) => {
                const options = free.filter((one) => (one.group ?? "") === group).map(option);
                return group ? [h("optgroup", { label: group }, ...options)] : options;
            }),
        );
    }

    /** @param {Talk} talk */
    #renderNotes(talk) {
        const notes = talk.events.filter((event) => event.type === "note");
        this.#noNotes.hidden = notes.length > 0;
        keyed(
            this.#notes,
            notes,
            (event) => `${talk.id} ${event.seq}`,
            (event) =>
                h(
                    "li",
                    {},
                    h(
                        "p",
                        { class: "who" },
                        h("b", {}, event.by.kind === "agent" ? event.by.name || t("somebody") : t("system")),
                        " ",
                        h("time", { datetime: new Date(event.at).toISOString(), title: moment(event.at) }, time(event.at)),
                    ),
                    h("p", { class: "text" }, ...linked(event.type === "note" ? event.body.text : "")),
                ),
        );
    }

    /** @param {Talk} talk */
    #renderKnown(talk) {
        const now = Date.now();
        const rank = (/** @type {string} */ key) => (KNOWN.includes(key) ? KNOWN.indexOf(key) : KNOWN.length);
        const all = Object.entries(talk.metadata).sort(([a], [b]) => rank(a) - rank(b));
        const isNew = (/** @type {string} */ key) => now - (talk.changed.get(key) ?? 0) < CHANGED_MS;
        /** @type {[string, string | Node, boolean, string][]} */
        const plain = all.flatMap(([key, value]) => (typeof value === "string" ? [[label(key), value, isNew(key), key]] : []));
        definitions(this.#known, plain);
        const groups = all.flatMap(([key, value]) => (typeof value === "object" ? [{ key, value }] : []));
        keyed(
            this.#folded,
            groups,
            ({ key }) => `${talk.id} ${key}`,
            () => h("details", {}, h("summary", {}, h("span", {}), h("span", { class: "count" })), h("dl", { class: "facts" })),
            (element, { key, value }) => {
                const entries = Object.entries(value);
                text(element.querySelector("summary span"), label(key));
                text(element.querySelector(".count"), String(entries.length));
                attribute(element, "data-changed", isNew(key));
                definitions(
                    element.querySelector("dl"),
                    entries.map(([name, one]) => [label(name), String(one)]),
                );
            },
        );
        this.#noData.hidden = all.length > 0;
    }

    /** @param {Row} row */
    #renderCanned(row) {
        const { work } = this;
        const all = canned.matching(work.state.canned, "");
        this.#noCanned.hidden = all.length > 0;
        keyed(
            this.#canned,
            all,
            (one) => `${one.scope} ${one.keyword} ${one.text}`,
            (one) => {
                const insert = () => this.dispatchEvent(new CustomEvent("insert-canned", { bubbles: true, detail: one }));
                return h(
                    "li",
                    {},
                    h(
                        "button",
                        { type: "button", on: { click: insert } },
                        h("b", {}, `/${one.keyword}`),
                        h("span", {}, one.text),
                    ),
                );
            },
        );
        attribute(this.#canned, "data-closed", row.state === "closed");
    }
}

/**
 * @param {string} title
 * @param {...(Node | string)} children
 */
function section(title, ...children) {
    return h("section", { class: "section", "aria-label": title || undefined }, title && h("h3", {}, title), ...children);
}

/**
 * What a fact is called. Those that are not known are called what the page called them.
 *
 * @param {string} key
 */
function label(key) {
    const found = t(`fact_${key}`);
    return found === `fact_${key}` ? key : found;
}

/**
 * @param {Element} list
 * @param {[name: string, value: string | Node, changed?: boolean, key?: string][]} entries
 */
function definitions(list, entries) {
    keyed(
        list,
        entries,
        ([name, , , key]) => key ?? name,
        ([name]) => h("div", {}, h("dt", {}, name), h("dd")),
        (element, [name, value, changed]) => {
            const shown = /** @type {HTMLElement} */ (element.lastElementChild);
            attribute(element, "data-changed", changed);
            text(/** @type {Element} */ (element.firstElementChild), name);
            if (typeof value !== "string") {
                if (shown.firstChild !== value) shown.replaceChildren(value);
            } else if (shown.textContent !== value) {
                shown.replaceChildren(...linked(value));
            }
        },
    );
}

customElements.define("jono-customer", CustomerPane);
