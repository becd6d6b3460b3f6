/**
 * The agent desk: puts the panes together, draws them when something has changed, hears the keyboard.
 *
 * @module
 */

import * as alerts from "./alerts.js";
import { TalkPane } from "./conversation.js";
import { CustomerPane } from "./customer.js";
import * as dialogs from "./dialogs.js";
import { attribute, button, h, keyed, text } from "./dom.js";
import { best, choose, chosen, t } from "./i18n.js";
import { action, isField } from "./keys.js";
import { Lists } from "./lists.js";
import * as settings from "./settings.js";
import { SignIn } from "./signin.js";
import * as store from "./store.js";
import { set, tick, ticking } from "./ticks.js";
import { Work } from "./work.js";

/** Everything is drawn anew so often, for what depends on the time. */
const DRAW_EACH_S = 5;
/** Pages that nobody sees are drawn less often. */
const HIDDEN_DRAW_MS = 500;
/** What was done is told for so long; what was refused stays until it is put away. */
const DONE_MS = 6_000;

class Desk extends HTMLElement {
    #work = new Work();
    #settings = settings.load();
    /** @type {"door" | "desk" | null} */ #view = null;
    #isDue = false;
    #seconds = 0;
    /** @type {Lists | undefined} */ #lists;
    /** @type {TalkPane | undefined} */ #talk;
    /** @type {CustomerPane | undefined} */ #customer;
    #panes = h("main", { class: "panes" });
    #connection = h("p", { class: "connection", role: "status" });
    #retry = ticking("left");
    #organisation = h("span", { class: "organisation" });
    #presence = h("div", { class: "presence", role: "radiogroup" });
    #bell = h("div");
    #toasts = h("div", { class: "toasts" });
    #announcer = h("p", { class: "hidden", role: "status" });

    connectedCallback() {
        const work = this.#work;
        this.#language();
        work.addEventListener("change", () => this.#due());
        work.addEventListener("taken", (event) => {
            location.hash = /** @type {CustomEvent} */ (event).detail;
            this.#hash();
            this.#talk?.write(/** @type {CustomEvent} */ (event).detail);
        });
        work.addEventListener("told", (event) => this.#heed(/** @type {CustomEvent} */ (event).detail));
        work.addEventListener("raised", (event) => this.#raised(/** @type {CustomEvent} */ (event).detail));
        this.addEventListener("click", (event) => this.#clicked(event));
        this.addEventListener("toggle-customer", () => this.#toggleCustomer());
        this.addEventListener("write-note", () => this.#compose("note"));
        this.addEventListener("leave-field", () => this.#talk?.focusName());
        this.addEventListener("insert-canned", (event) => {
            if (this.#isNarrow) this.#toggleCustomer();
            this.#talk?.composer.insert(/** @type {CustomEvent} */ (event).detail);
        });
        window.addEventListener("hashchange", () => this.#hash());
        document.addEventListener("keydown", (event) => this.#key(event));
        for (const gesture of ["pointerdown", "keydown"]) {
            document.addEventListener(gesture, () => void (this.#settings.sound && alerts.allowSound()), { passive: true });
        }
        document.addEventListener("visibilitychange", () => this.#due());
        window.addEventListener("focus", () => this.#due());
        window.addEventListener("beforeunload", () => work.stopTyping());
        setInterval(() => this.#second(), 1_000);
        this.#hash();
        if (work.credentials) work.connect();
        this.#draw();
    }

    // ---- drawing

    #due() {
        if (this.#isDue) return;
        this.#isDue = true;
        const draw = () => {
            if (this.#isDue) this.#draw();
        };
        // Frames do not come while nobody sees the page, but its title goes on.
        if (document.visibilityState === "visible") requestAnimationFrame(draw);
        setTimeout(draw, HIDDEN_DRAW_MS);
    }

    #draw() {
        this.#isDue = false;
        const work = this.#work;
        const view = work.credentials ? "desk" : "door";
        if (view !== this.#view) {
            this.#view = view;
            if (view === "door") this.replaceChildren(new SignIn(work));
            else this.#build();
        }
        this.#title();
        if (view === "door") return;
        this.#renderTop();
        this.#lists?.render();
        this.#talk?.render();
        this.#customer?.render();
        this.#renderToasts();
        attribute(this.#panes, "data-pane", work.aside ? "customer" : work.selected ? "talk" : "lists");
        attribute(this.#panes, "data-customer", this.#settings.customer);
    }

    #build() {
        const work = this.#work;
        const lists = (this.#lists = new Lists(work));
        const talk = (this.#talk = new TalkPane(work));
        const customer = (this.#customer = new CustomerPane(work));
        this.#presence.replaceChildren(
            ...["online", "away", "offline"].map((status) => {
                const radio = h("input", { type: "radio", name: "presence", value: status });
                radio.addEventListener("change", () => void work.presence(/** @type {any} */ (status)));
                return h("label", { class: status }, radio, h("span", {}, t(`status_${status}`)));
            }),
        );
        attribute(this.#presence, "aria-label", t("presence"));
        attribute(this.#retry, "aria-hidden", "true");
        const sound = button({
            icon: "bell",
            label: t("setting_sound"),
            quiet: true,
            class: "bell",
            on: () => this.#set({ sound: !this.#settings.sound }),
        });
        this.#bell.replaceChildren(sound);
        const skip = h(
            "a",
            { class: "skip", href: "#", on: { click: (/** @type {Event} */ event) => this.#skip(event) } },
            t("skip"),
        );
        const top = h(
            "header",
            { class: "top" },
            skip,
            h("h1", { class: "brand" }, "Jono"),
            this.#organisation,
            this.#connection,
            this.#presence,
            this.#bell,
            button({
                icon: "keyboard",
                label: t("help"),
                key: "?",
                quiet: true,
                class: "help",
                on: () => dialogs.help(this.#settings.keys),
            }),
            button({
                icon: "gear",
                label: t("settings"),
                quiet: true,
                on: () => dialogs.settings(this.#settings, (change) => this.#set(change), work),
            }),
        );
        this.#panes.replaceChildren(
            h("nav", { class: "pane lists", "aria-label": t("lists") }, lists),
            h("section", { class: "pane talk", "aria-label": t("conversation") }, talk),
            h("section", { class: "pane customer", "aria-label": t("customer_pane") }, customer),
        );
        this.replaceChildren(top, this.#panes, this.#toasts, this.#announcer);
    }

    /** @param {Event} event */
    #skip(event) {
        event.preventDefault();
        this.#talk?.focusName();
    }

    #renderTop() {
        const work = this.#work;
        const { connection } = work;
        text(this.#organisation, [work.state.organisation?.name, work.state.me?.name].filter(Boolean).join(" · "));
        const key =
            connection.state === "refused"
                ? `connection_${connection.reason === "superseded" ? "superseded" : "refused"}`
                : `connection_${connection.state}`;
        if (this.#connection.dataset["state"] !== key) {
            this.#connection.dataset["state"] = key;
            const again = () => void work.client?.connect();
            this.#connection.replaceChildren(
                h("span", {}, t(key)),
                ...(connection.state === "waiting" ? [" ", this.#retry] : []),
                ...(connection.state === "waiting" || connection.state === "refused"
                    ? [" ", button({ label: t("connect_now"), class: "small", on: again })]
                    : []),
            );
        }
        // The attempt is at our time, and everything else at the server's.
        const retryAt =
            connection.state === "waiting" && connection.retryAt !== undefined
                ? connection.retryAt + work.state.clock
                : undefined;
        set(this.#retry, retryAt, work.now());
        const me = work.state.me;
        const status = work.wanted ?? (me ? work.state.agents.get(me.id)?.status : undefined) ?? me?.status ?? "offline";
        for (const radio of this.#presence.querySelectorAll("input")) {
            radio.checked = radio.value === status;
            radio.disabled = !work.isOnline;
        }
        const bell = this.#bell.querySelector("button");
        if (bell) attribute(bell, "aria-pressed", String(this.#settings.sound));
    }

    #renderToasts() {
        const work = this.#work;
        keyed(
            this.#toasts,
            work.messages,
            (message) => String(message.id),
            (message) => {
                if (message.kind === "done") setTimeout(() => work.dismiss(message.id), DONE_MS);
                const close = button({ icon: "close", label: t("dismiss"), quiet: true, on: () => work.dismiss(message.id) });
                return h(
                    "div",
                    { class: `toast ${message.kind}`, role: message.kind === "error" ? "alert" : "status" },
                    h("span", {}, t(message.text, message.values)),
                    close,
                );
            },
        );
    }

    #title() {
        const work = this.#work;
        const unread = work.credentials ? store.unread(work.state) : 0;
        const title = [work.state.organisation?.name, "Jono"].filter(Boolean).join(" – ");
        const wanted = unread > 0 ? `(${unread}) ${title}` : title;
        if (document.title !== wanted) document.title = wanted;
    }

    #second() {
        const work = this.#work;
        this.#seconds += 1;
        if (!work.credentials) return;
        if (store.quiet(work.state, Date.now()) || this.#seconds % DRAW_EACH_S === 0) this.#due();
        tick(this, work.now());
    }

    // ---- moving about

    /** `#conv_...`, and behind a slash the event that is looked for. */
    #hash() {
        const [id, seq] = location.hash.slice(1).split("/");
        const before = this.#work.selected;
        this.#work.aside = false;
        this.#work.select(id || null, seq ? Number(seq) : null);
        // Where there is room for one pane only, the focus goes to the one that is shown now.
        if (before === this.#work.selected || !this.#lists || !matchMedia("(max-width: 44rem)").matches) return;
        this.#draw();
        if (id) this.#talk?.focusName();
        else this.#lists.focusRow(before);
    }

    /**
     * Whoever points at their own conversation is about to write in it.
     *
     * @param {MouseEvent} event
     */
    #clicked(event) {
        const link = event.target instanceof Element ? event.target.closest("a.row") : null;
        const isPlain = event.detail > 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
        if (!(link instanceof HTMLElement) || !isPlain || !matchMedia("(pointer: fine)").matches) return;
        const row = this.#work.state.rows.get(link.dataset["id"] ?? "");
        if (row?.state === "active" && store.isMine(this.#work.state, row)) this.#talk?.write(row.id);
    }

    get #isNarrow() {
        return matchMedia("(max-width: 68rem)").matches;
    }

    #toggleCustomer() {
        if (this.#isNarrow) {
            this.#work.aside = !this.#work.aside;
            this.#draw();
            (this.#work.aside ? this.#customer : this.#talk)?.focusName();
        } else {
            this.#set({ customer: !this.#settings.customer });
        }
    }

    /** @param {"reply" | "note"} mode */
    #compose(mode) {
        if (!this.#work.selected) return;
        this.#work.aside = false;
        this.#draw();
        this.#talk?.composer.open(mode);
    }

    /** @param {KeyboardEvent} event */
    #key(event) {
        const work = this.#work;
        if (this.#view !== "desk" || dialogs.isOpen()) return;
        if (event.key === "Escape" && !event.defaultPrevented) {
            if (work.aside) return this.#toggleCustomer();
            if (isField(event.target)) return this.#talk?.focusName();
        }
        if (!this.#settings.keys) return;
        const does = action(event, isField(event.target));
        if (!does) return;
        event.preventDefault();
        if (does === "next" || does === "previous") this.#step(does === "next" ? 1 : -1);
        else if (does === "open" || does === "mine") work.showTab(does);
        else if (does === "search") this.#lists?.focusSearch();
        else if (does === "pick") void work.pick();
        else if (does === "reply" || does === "note") this.#compose(does);
        else if (does === "customer") this.#toggleCustomer();
        else if (does === "help") dialogs.help(this.#settings.keys);
        else if (does === "closed") work.showTab("closed");
        else if (does === "close") this.#talk?.press("close");
        else this.#talk?.press(does);
    }

    /** @param {1 | -1} step */
    #step(step) {
        const next = this.#lists?.neighbour(step);
        if (next) location.hash = next;
    }

    // ---- attention

    /** @param {{name: string, params: any}} told */
    #heed({ name, params }) {
        const work = this.#work;
        const { state } = work;
        const row = state.rows.get(params.conversation);
        const talk = state.talks.get(params.conversation);
        if (!row || !talk) return;
        const customer = row.customer.name || t("nameless");
        const isMine = store.isMine(state, row);
        const isLive = name === "event" && params.seq >= row.head && work.isOnline && work.now() - params.at < 30_000;
        if (name === "conversation.deadline") {
            if (!isMine || !params.warning) return;
            const title = t(`warning_${params.warning}`, { name: customer });
            // A customer who has gone is nothing to act on; a conversation that is about to be lost is.
            if (params.warning === "release") this.#alert("warning", title, "", row.id, true);
            else text(this.#announcer, title);
        } else if (isLive && isMine && params.type === "message" && params.by.kind === "customer") {
            this.#alert("message", customer, params.body.text, row.id, false);
        } else if (isLive && isMine && params.type === "assigned" && !store.isMe(state, params.by)) {
            this.#alert("new", t("assigned_to_you", { name: customer }), row.preview, row.id, true);
        } else if (
            isLive &&
            params.type === "released" &&
            params.body.cause === "inactive" &&
            params.body.agent.id === state.me?.id
        ) {
            work.tell("error", "released_from_you", { name: customer });
        }
    }

    /** @param {{queue: string, conversation: string, preview: string}} raised */
    #raised({ queue, conversation, preview }) {
        const name = this.#work.state.queues.get(queue)?.name ?? "";
        this.#alert("new", t("new_in", { queue: name }), preview, conversation, false);
    }

    /**
     * @param {"new" | "message" | "warning"} kind
     * @param {string} title
     * @param {string} body
     * @param {string} conversation
     * @param {boolean} always Also when the agent is looking at it.
     */
    #alert(kind, title, body, conversation, always) {
        const isSeen = document.hasFocus() && document.visibilityState === "visible" && this.#work.selected === conversation;
        if (isSeen && !always) return;
        if (this.#settings.sound) alerts.sound(kind);
        if (always || kind === "new") text(this.#announcer, title);
        if (this.#settings.notifications && !document.hasFocus()) {
            alerts.notify(title, body, conversation, () => (location.hash = conversation));
        }
    }

    // ---- settings

    /** @param {Partial<settings.Settings>} change */
    async #set(change) {
        if (change.notifications) change.notifications = await alerts.allowNotifications();
        if (change.sound) alerts.allowSound();
        this.#settings = { ...this.#settings, ...change };
        settings.save(this.#settings);
        if (change.notifications === false && !("sound" in change)) this.#due();
        if (change.language !== undefined) {
            this.#language();
            this.#view = null;
            this.#connection.dataset["state"] = "";
        }
        this.#theme();
        this.#due();
    }

    #language() {
        choose(best(this.#settings.language, navigator.languages), navigator.languages);
        document.documentElement.lang = chosen();
        this.#theme();
    }

    #theme() {
        document.documentElement.dataset["theme"] = this.#settings.theme;
    }
}

customElements.define("jono-desk", Desk);
