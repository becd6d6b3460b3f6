/**
 * The left pane: queues, lists of conversations, search.
 *
 * @module
 */

import { attribute, button, colour, h, icon, keyed, text } from "./dom.js";
import { t } from "./i18n.js";
import * as store from "./store.js";
import { set, ticking } from "./ticks.js";

/**
 * @typedef {import("./work.js").Work} Work
 * @typedef {import("./work.js").Tab} Tab
 * @typedef {import("../protocol").Row} Row
 * @typedef {import("../protocol").Queue} Queue
 */

/** Rows of one group that are drawn; nobody reads further down, and the queue's number says how many there are. */
const ROWS_MAX = 200;

export class Lists extends HTMLElement {
    /** @type {Work} */ work;
    #queues = h("ul", { class: "queues" });
    #noQueues = h("p", { class: "empty", hidden: true });
    #tabs = /** @type {Map<Tab, {button: HTMLButtonElement, count: HTMLElement}>} */ (new Map());
    #search = h("input", { type: "search", maxlength: 200, autocomplete: "off", spellcheck: "false" });
    #groups = h("div", { class: "groups" });
    #more = h("button", { type: "button", class: "button more", hidden: true });

    /** @param {Work} work */
    constructor(work) {
        super();
        this.work = work;
    }

    connectedCallback() {
        const { work } = this;
        const search = this.#search;
        attribute(search, "placeholder", t("search_hint"));
        attribute(search, "aria-label", t("search"));
        attribute(search, "aria-keyshortcuts", "/");
        search.value = work.search.text;
        const form = h("form", { class: "search", role: "search" }, icon("search"), search);
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            void work.find(search.value.trim());
        });
        search.addEventListener("input", () => {
            if (search.value === "" && work.tab === "search") void work.find("");
        });
        const tabs = h("div", { class: "tabs", role: "group", "aria-label": t("lists") });
        for (const tab of /** @type {const} */ (["open", "mine", "closed"])) {
            const count = h("span", { class: "count", hidden: true });
            const one = h("button", { type: "button", on: { click: () => work.showTab(tab) } }, t(`tab_${tab}`), count);
            this.#tabs.set(tab, { button: one, count });
            tabs.append(one);
        }
        this.#more.addEventListener("click", () => void (work.tab === "search" ? work.findMore() : work.readClosed()));
        text(this.#noQueues, t("empty_queues"));
        this.replaceChildren(
            h("section", { "aria-label": t("queues") }, h("h2", {}, t("queues")), this.#queues, this.#noQueues),
            form,
            tabs,
            h("div", { class: "scroll", tabindex: -1 }, this.#groups, this.#more),
        );
        this.render();
    }

    focusSearch() {
        this.#search.focus();
        this.#search.select();
    }

    /** @param {string | null} conversation */
    focusRow(conversation) {
        const found = [...this.#groups.querySelectorAll("a.row")].find((row) => row.getAttribute("data-id") === conversation);
        if (found instanceof HTMLElement) found.focus();
    }

    /**
     * The conversation before or after the selected one in the list that is shown.
     *
     * @param {1 | -1} step
     * @returns {string | undefined}
     */
    neighbour(step) {
        const rows = [...this.#groups.querySelectorAll("a.row")].map((row) => /** @type {HTMLElement} */ (row).dataset["id"]);
        const at = rows.indexOf(this.work.selected ?? "");
        if (at < 0) return step > 0 ? rows[0] : rows.at(-1);
        return rows[at + step];
    }

    render() {
        const { work } = this;
        const { state } = work;
        const queues = store.queues(state);
        keyed(
            this.#queues,
            queues,
            (queue) => queue.id,
            () => this.#makeQueue(),
            (element, queue) => this.#queue(element, queue),
        );
        this.#noQueues.hidden = queues.length > 0 || state.me === null;

        const lists = store.lists(state, work.queue);
        const unread = lists.mine.reduce((sum, row) => sum + row.unread, 0);
        const counts = { open: lists.waiting.length, mine: unread || lists.mine.length, closed: 0, search: 0 };
        for (const [tab, { button, count }] of this.#tabs) {
            attribute(button, "aria-pressed", String(work.tab === tab));
            text(count, String(counts[tab]));
            count.hidden = counts[tab] === 0;
            attribute(count, "data-unread", tab === "mine" && unread > 0);
        }
        if (work.tab !== "search" && document.activeElement !== this.#search) this.#search.value = "";

        keyed(
            this.#groups,
            this.#shown(lists),
            (group) => group.key,
            (group) => this.#makeGroup(group),
            (element, group) => this.#group(element, group),
        );
        const cursor = work.tab === "closed" ? work.closed.cursor : work.tab === "search" ? work.search.cursor : undefined;
        const loading = work.tab === "closed" ? work.closed.loading : work.search.loading;
        this.#more.hidden = cursor === undefined;
        this.#more.disabled = loading;
        text(this.#more, t(loading ? "loading" : "more"));
    }

    /**
     * @typedef {{row: Row, seq?: number, preview?: string, at?: number}} Line
     * @typedef {{key: string, title: string, lines: Line[], empty: string}} Group
     * @param {store.Lists} lists
     * @returns {Group[]}
     */
    #shown(lists) {
        const { work } = this;
        const line = (/** @type {Row} */ row) => ({ row });
        const wait = (/** @type {{loading: boolean, failed: boolean}} */ { loading, failed }, /** @type {string} */ empty) =>
            failed ? "error_list" : loading ? "loading" : empty;
        if (work.tab === "open") {
            return [
                {
                    key: "waiting",
                    title: t("group_new"),
                    lines: lists.waiting.map(line),
                    empty: wait(work.open, "empty_waiting"),
                },
                {
                    key: "active",
                    title: t("group_active"),
                    lines: lists.active.map(line),
                    empty: wait(work.open, "empty_active"),
                },
            ];
        }
        if (work.tab === "mine") {
            return [{ key: "mine", title: t("tab_mine"), lines: lists.mine.map(line), empty: wait(work.open, "empty_mine") }];
        }
        if (work.tab === "closed") {
            return [
                {
                    key: "closed",
                    title: t("tab_closed"),
                    lines: lists.closed.map(line),
                    empty: wait(work.closed, "empty_closed"),
                },
            ];
        }
        const lines = work.search.hits.map(({ conversation, event }) => ({
            row: work.state.rows.get(conversation.id) ?? conversation,
            seq: event.seq,
            preview: event.type === "message" || event.type === "note" ? event.body.text : "",
            at: event.at,
        }));
        return [{ key: "found", title: t("found", { text: work.search.text }), lines, empty: wait(work.search, "empty_found") }];
    }

    /** @param {Group} group */
    #makeGroup(group) {
        return h(
            "section",
            { class: `group ${group.key}`, "aria-label": group.title },
            h("h3", {}, h("span"), h("span", { class: "count" })),
            h("ul", { class: "rows" }),
            h("p", { class: "empty" }),
        );
    }

    /**
     * @param {HTMLElement} element
     * @param {Group} group
     */
    #group(element, group) {
        const [title, rows, empty] = /** @type {[Element, Element, HTMLElement]} */ ([...element.children]);
        const [name, count] = /** @type {[Element, HTMLElement]} */ ([...title.children]);
        text(name, group.title);
        text(count, String(group.lines.length));
        count.hidden = group.lines.length === 0;
        empty.hidden = group.lines.length > 0;
        text(empty, t(group.empty));
        keyed(
            rows,
            group.lines.slice(0, ROWS_MAX),
            (line) => `${line.row.id} ${line.seq ?? ""}`,
            () => makeRow(),
            (item, line) => this.#row(item, line),
        );
    }

    /**
     * @param {HTMLElement & {parts: Parts}} item
     * @param {Line} line
     */
    #row(item, { row, seq, preview, at }) {
        const { work } = this;
        const { state } = work;
        const now = work.now();
        const { parts } = item;
        const isMine = store.isMine(state, row);
        attribute(parts.link, "href", seq === undefined ? `#${row.id}` : `#${row.id}/${seq}`);
        parts.link.dataset["id"] = row.id;
        attribute(
            parts.link,
            "aria-current",
            work.selected === row.id && (seq === undefined || work.target === seq) ? "true" : null,
        );
        attribute(parts.link, "data-state", row.state);
        attribute(parts.link, "data-mine", isMine);
        text(parts.name, row.customer.name || t("nameless"));
        attribute(parts.dot, "data-on", row.customer.connected && row.state !== "closed");
        text(parts.dotText, t(row.customer.connected ? "connected" : "disconnected"));
        text(parts.preview, preview ?? (row.preview || t("no_message")));
        const waits = row.state === "waiting" && seq === undefined;
        set(parts.waited, waits ? row.waiting_since : undefined, now);
        set(parts.at, waits ? undefined : (at ?? row.last_message_at), now);
        const unread = row.state === "closed" ? 0 : row.unread;
        parts.unread.hidden = unread === 0;
        text(parts.unread, unread >= 100 ? "99+" : String(unread));
        attribute(parts.unread, "aria-label", t("unread", { n: unread }));
        text(parts.queue, state.queues.get(row.queue)?.name ?? "");
        parts.holder.hidden = row.state !== "active";
        text(parts.holder, row.state === "active" ? (isMine ? t("you") : row.holder?.name || t("somebody")) : "");
        parts.priority.hidden = row.priority === 0 || row.state === "closed";
        text(parts.priority, row.priority > 0 ? `▲ ${row.priority}` : `▼ ${-row.priority}`);
        attribute(parts.priority, "aria-label", t("priority_is", { n: row.priority }));
        const deadline = row.state === "closed" ? undefined : soonest(row);
        set(parts.left, deadline !== undefined && deadline - now < 120_000 ? deadline : undefined, now);
        parts.deadline.hidden = parts.left.hidden;
        keyed(
            parts.tags,
            row.tags.slice(0, 4),
            (tag) => tag,
            (tag) => h("span", { class: "tag" }, tag),
            (element, tag) => element.style.setProperty("--tag", colour(state.tags.find((one) => one.tag === tag)?.colour)),
        );
    }

    #makeQueue() {
        const { work } = this;
        const dot = h("span", { class: "state" });
        const name = h("span", { class: "name" });
        const waited = ticking("lasted", "waited");
        const count = h("span", { class: "count" });
        const filter = h("button", { type: "button", class: "filter" }, dot, name, waited, count);
        const pick = button({
            icon: "hand",
            label: t("pick"),
            class: "pick",
            quiet: true,
            on: () => void work.pick(item.dataset["id"]),
        });
        const toggle = h("button", { type: "button", class: "button small" });
        const details = h("div", { class: "details", hidden: true }, h("span", { class: "numbers" }), toggle);
        const item = Object.assign(h("li", { class: "queue" }, filter, pick, details), {
            parts: { dot, name, waited, count, filter, pick, toggle, details },
        });
        filter.addEventListener("click", () => work.filter(item.dataset["id"] ?? null));
        toggle.addEventListener("click", () => {
            const queue = work.state.queues.get(item.dataset["id"] ?? "");
            if (queue) void work.setQueue(queue.id, !queue.open);
        });
        return item;
    }

    /**
     * @param {HTMLElement & {parts: any}} item
     * @param {Queue} queue
     */
    #queue(item, queue) {
        const { work } = this;
        const { parts } = item;
        const waiting = queue.waiting ?? 0;
        const isChosen = work.queue === queue.id;
        item.dataset["id"] = queue.id;
        attribute(item, "data-open", queue.open);
        text(parts.name, queue.name);
        attribute(parts.dot, "title", t(queue.open ? "queue_is_open" : "queue_is_closed"));
        text(parts.count, String(waiting));
        attribute(parts.count, "data-some", waiting > 0);
        attribute(parts.count, "data-unread", (queue.unread ?? 0) > 0);
        set(parts.waited, waiting > 0 ? queue.longest_waiting_since : undefined, work.now());
        attribute(parts.filter, "aria-pressed", String(isChosen));
        attribute(
            parts.filter,
            "aria-label",
            [
                queue.name,
                t(queue.open ? "queue_is_open" : "queue_is_closed"),
                t("waiting", { n: waiting }),
                queue.unread ? t("unread", { n: queue.unread }) : "",
            ]
                .filter(Boolean)
                .join(", "),
        );
        parts.pick.disabled = waiting === 0 || !work.isOnline || work.busy.has(`pick ${queue.id}`);
        attribute(parts.pick, "aria-label", t("pick_from", { queue: queue.name }));
        attribute(parts.pick, "title", t("pick_from", { queue: queue.name }));
        parts.details.hidden = !isChosen;
        text(parts.details.firstChild, t("queue_numbers", { waiting, active: queue.active ?? 0, unread: queue.unread ?? 0 }));
        text(parts.toggle, t(queue.open ? "queue_close" : "queue_open"));
        parts.toggle.disabled = !work.isOnline || work.busy.has(`queue ${queue.id}`);
    }
}

/** @typedef {ReturnType<typeof makeParts>} Parts */

function makeParts() {
    return {
        link: h("a", { class: "row" }),
        dot: h("span", { class: "dot" }),
        dotText: h("span", { class: "hidden" }),
        name: h("span", { class: "name" }),
        waited: ticking("lasted", "waited"),
        at: ticking("recent", "at"),
        preview: h("span", { class: "preview" }),
        unread: h("span", { class: "unread", role: "img", hidden: true }),
        queue: h("span", { class: "queue-name" }),
        holder: h("span", { class: "holder" }),
        priority: h("span", { class: "priority", role: "img" }),
        tags: h("span", { class: "tags" }),
        left: ticking("left"),
        deadline: h("span", { class: "deadline", hidden: true }),
    };
}

function makeRow() {
    const parts = makeParts();
    parts.deadline.append(icon("clock"), parts.left);
    parts.link.append(
        h("span", { class: "line" }, parts.dot, parts.dotText, parts.name, parts.priority, parts.waited, parts.at),
        h("span", { class: "line" }, parts.preview, parts.unread),
        h("span", { class: "line small" }, parts.queue, parts.holder, parts.tags, parts.deadline),
    );
    return Object.assign(h("li", {}, parts.link), { parts });
}

/** @param {Row} row */
function soonest(row) {
    const all = [row.release_at, row.close_at].filter((at) => at !== undefined);
    return all.length > 0 ? Math.min(...all) : undefined;
}

customElements.define("jono-lists", Lists);
