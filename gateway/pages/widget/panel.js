/**
 * The panel: its frame, which part of it is shown, and where the focus is.
 * @typedef {import("./visit.js").Visit} Visit
 * @typedef {import("./texts.js").Speech} Speech
 */

import { Choice } from "./choice.js";
import { Composer } from "./composer.js";
import { h, icon, set, write } from "./dom.js";
import { Ending } from "./ending.js";
import { Log } from "./log.js";
import { Notices } from "./notices.js";

/** Screens on which the panel covers the page; the same in the styles. */
const SMALL = "(max-width: 480px), (max-height: 480px)";
/** Queues open and close while somebody chooses. */
const LOOK_AT_QUEUES_EVERY_MS = 30_000;

export class Panel {
    #visit;
    #speech;
    #stopped = new AbortController();
    #isConfirming = false;
    /** What is shown below the header: the focus follows a change of it. */
    #part = "";
    /** @type {ReturnType<typeof setInterval> | undefined} */
    #clock;
    #queuesSeenAt = Date.now();
    isOpen = false;

    /**
     * @param {Visit} visit
     * @param {Speech} speech
     * @param {{ queue: string | null, close: () => void }} options
     */
    constructor(visit, speech, options) {
        this.#visit = visit;
        this.#speech = speech;
        this.choice = new Choice(visit, speech, options.queue);
        this.notices = new Notices(visit, speech);
        this.log = new Log(visit, speech, () => this.#see());
        this.composer = new Composer(visit, speech);
        this.ending = new Ending(visit, speech);

        this.avatar = h("span", { class: "avatar", "aria-hidden": "true" });
        this.title = h("h2", { id: "title" });
        this.subtitle = h("p");
        const leave = icon("M9 4H5v16h4", "M14 8l4 4-4 4", "M9 12h9");
        this.end = h("button", { class: "icon", type: "button", "aria-label": speech.say("end"), onclick: () => this.#confirm(true) }, leave);
        const close = h("button", { class: "icon", type: "button", "aria-label": speech.say("closeChat"), onclick: options.close }, icon("M6 9l6 6 6-6"));
        const top = h("div", { class: "top" }, this.avatar, h("div", { class: "names" }, this.title, this.subtitle), this.end, close);

        this.typing = h("div", { class: "typing" });
        this.keep = h("button", { class: "small", type: "button", onclick: () => this.#confirm(false) }, speech.say("endNo"));
        const endYes = h("button", { class: "small", type: "button", onclick: () => this.#leave() }, speech.say("endYes"));
        const question = h("p", { id: "end-question" }, speech.say("endConfirm"));
        this.confirm = h("div", { class: "confirm", role: "alertdialog", "aria-labelledby": "end-question" }, question, endYes, this.keep);
        this.blocked = h("p", { class: "blocked", role: "status" });
        this.talk = h("div", { class: "body" }, this.log.element, this.typing, this.confirm, this.composer.element, this.ending.element);
        this.element = h(
            "section",
            {
                class: "panel",
                role: "dialog",
                "aria-labelledby": "title",
                tabindex: -1,
                hidden: true,
                onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
            },
            top,
            this.notices.element,
            this.choice.element,
            this.talk,
            this.blocked,
        );
        this.close = options.close;
        this.#fitKeyboard();
        const { signal } = this.#stopped;
        document.addEventListener("visibilitychange", () => this.#see(), { signal });
        addEventListener("focus", () => this.#see(), { signal });
    }

    /** @param {boolean} takesFocus not when the page opens it by itself */
    open(takesFocus) {
        this.isOpen = true;
        this.element.hidden = false;
        set(this.element, "aria-modal", matchMedia(SMALL).matches ? "true" : false);
        this.#clock = setInterval(() => this.#tick(), 1_000);
        this.update();
        this.log.toEnd();
        if (takesFocus) this.#focus();
    }

    hide() {
        this.isOpen = false;
        this.element.hidden = true;
        this.#isConfirming = false;
        clearInterval(this.#clock);
    }

    stop() {
        clearInterval(this.#clock);
        this.#stopped.abort();
        this.log.stop();
    }

    update() {
        if (!this.isOpen) return;
        const hadFocus = this.element.matches(":focus-within");
        const { thread, blocked } = this.#visit;
        const part = !thread ? "choice" : !thread.isLive ? "ending" : this.#isConfirming ? "confirm" : "composer";
        if (part !== "confirm" && part !== "composer") this.#isConfirming = false;
        this.#header();
        this.notices.update();
        this.choice.element.hidden = part !== "choice" || blocked !== undefined;
        this.talk.hidden = part === "choice";
        this.confirm.hidden = part !== "confirm";
        this.composer.element.hidden = part !== "composer" || blocked !== undefined;
        this.ending.element.hidden = part !== "ending";
        this.#blocked();
        if (part === "choice") this.choice.update();
        else this.log.update();
        if (part === "composer") this.composer.update();
        if (part === "ending") this.ending.update();
        this.#typing();
        this.#see();
        const isOther = part !== this.#part;
        this.#part = part;
        // What had the focus may be gone, or what it waits for is there. Nobody should be left at the top of the page.
        if (hadFocus && (isOther || this.element.matches(":focus, :not(:focus-within)"))) this.#focus();
    }

    #header() {
        const { thread, queues } = this.#visit;
        const queue = queues?.find((queue) => queue.id === thread?.queue)?.name;
        const name = thread && (thread.holder ?? (thread.isLive ? queue : (thread.lastAuthor ?? queue)));
        write(this.title, name || this.#speech.say("title"));
        write(this.subtitle, thread && queue && queue !== name ? queue : this.#speech.say("subtitle"));
        this.avatar.hidden = !thread?.holder;
        write(this.avatar, [...(thread?.holder ?? "")][0]?.toUpperCase() ?? "");
        this.end.hidden = !thread?.isLive;
    }

    #blocked() {
        const { blocked, thread } = this.#visit;
        const isOver = blocked?.until !== undefined && blocked.until <= this.#visit.now();
        if (isOver) this.#visit.blocked = undefined;
        this.blocked.hidden = !blocked || isOver || thread?.isLive === false;
        if (!blocked) return write(this.blocked, "");
        const until = blocked.until;
        write(this.blocked, until ? this.#speech.say("blockedUntil", { time: this.#speech.dayAndTime(until) }) : this.#speech.say("blockedForever"));
    }

    #typing() {
        const name = this.#visit.thread?.typistAt(Date.now());
        const text = name === undefined ? "" : this.#speech.say("typing", { name: name || this.#speech.say("someone") });
        if (this.typing.textContent === text) return;
        const dots = h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
        this.typing.replaceChildren(...(text ? [dots, text] : []));
        if (this.log.isAtEnd) this.log.toEnd();
    }

    /** What counts down or runs out by itself. */
    #tick() {
        this.notices.update();
        this.#blocked();
        this.#typing();
        const isDue = Date.now() - this.#queuesSeenAt >= LOOK_AT_QUEUES_EVERY_MS;
        if (!isDue || this.#part !== "choice" || this.#visit.connection.state !== "online") return;
        this.#queuesSeenAt = Date.now();
        this.#visit.refreshQueues();
    }

    /** Is the end of the conversation before somebody's eyes? */
    #see() {
        if (this.isOpen && this.log.isAtEnd && document.visibilityState === "visible" && document.hasFocus()) this.#visit.read();
    }

    /** @param {boolean} isConfirming */
    #confirm(isConfirming) {
        this.#isConfirming = isConfirming;
        this.update();
        if (isConfirming) this.keep.focus();
        else this.end.focus();
    }

    #leave() {
        this.#isConfirming = false;
        this.#visit.leave();
        this.update();
    }

    #focus() {
        if (!this.choice.element.hidden) this.choice.focus();
        else if (!this.confirm.hidden) this.keep.focus();
        else if (!this.composer.element.hidden) this.composer.focus();
        else if (!this.ending.element.hidden) this.ending.focus();
        else this.log.list.focus();
        if (!this.element.matches(":focus-within")) this.element.focus();
    }

    /** @param {KeyboardEvent} event */
    #key(event) {
        // The page's own keys are for the page.
        event.stopPropagation();
        if (event.key === "Escape" && !event.isComposing) {
            if (this.#isConfirming) this.#confirm(false);
            else this.close();
        }
        if (event.key === "Tab" && matchMedia(SMALL).matches) this.#goRound(event);
    }

    /**
     * Where the panel covers the page, Tab stays in it.
     * @param {KeyboardEvent} event
     */
    #goRound(event) {
        const all = [...this.element.querySelectorAll("button, input:not(:disabled), textarea, a[href], [tabindex='0']")];
        const reachable = all.filter((element) => element.getClientRects().length > 0);
        const [from, to] = event.shiftKey ? [reachable[0], reachable.at(-1)] : [reachable.at(-1), reachable[0]];
        const root = /** @type {ShadowRoot} */ (this.element.getRootNode());
        if (root.activeElement !== from) return;
        event.preventDefault();
        /** @type {HTMLElement} */ (to)?.focus();
    }

    /** On phones the keyboard covers a part of the screen. */
    #fitKeyboard() {
        const viewport = globalThis.visualViewport;
        const fit = () => {
            this.element.style.setProperty("--viewport", `${viewport?.height ?? innerHeight}px`);
            if (this.isOpen && this.log.isAtEnd) this.log.toEnd();
        };
        viewport?.addEventListener("resize", fit, { signal: this.#stopped.signal });
    }
}
