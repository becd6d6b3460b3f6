/**
 * What the launcher loads: puts the visit and the panel together, and is what the page's calls reach.
 * @typedef {import("../widget").JonoChatElement} JonoChatElement
 * @typedef {import("../widget").WidgetEvents} WidgetEvents
 */

import { h, set, write } from "./dom.js";
import { Panel } from "./panel.js";
import { styles } from "./styles.js";
import { chooseLanguage, loadSpeech } from "./texts.js";
import { Visit } from "./visit.js";

/** As in the styles: the panel covers the page. */
const SMALL = "(max-width: 480px), (max-height: 480px)";

/**
 * @param {JonoChatElement} element with the launcher in it
 * @param {URL} server where the widget comes from
 */
export async function start(element, server) {
    const language = chooseLanguage([element.getAttribute("locale"), document.documentElement.lang, ...navigator.languages]);
    const speech = await loadSpeech(language);
    return new Chat(element, server, speech);
}

/** @param {URL} server */
function socketUrl(server) {
    const url = new URL("v1/ws", server);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return url.href;
}

class Chat {
    #element;
    #speech;
    #visit;
    #panel;
    #root;
    #launcher;
    #badge = h("span", { class: "badge", "aria-hidden": "true", hidden: true });
    #isUpdating = false;
    #isStopped = false;
    #dark = matchMedia("(prefers-color-scheme: dark)");
    #shade = () => this.#root.classList.toggle("dark", (this.#element.getAttribute("theme") ?? "auto") === "auto" ? this.#dark.matches : this.#element.getAttribute("theme") === "dark");
    #themeWatch = new MutationObserver(() => this.#shade());

    /**
     * @param {JonoChatElement} element
     * @param {URL} server
     * @param {import("./texts.js").Speech} speech
     */
    constructor(element, server, speech) {
        this.#element = element;
        this.#speech = speech;
        this.#visit = new Visit({
            site: element.getAttribute("site") ?? "",
            url: socketUrl(server),
            locale: speech.language,
            queue: element.getAttribute("queue") ?? undefined,
            showsTyping: element.hasAttribute("preview"),
            changed: () => this.#changed(),
            tell: (name, value) => this.#tell(name, value),
        });
        this.#panel = new Panel(this.#visit, speech, { queue: element.getAttribute("queue"), close: () => this.close() });
        this.#root = h("div", { class: "root", lang: speech.language }, this.#panel.element);
        this.#launcher = /** @type {HTMLButtonElement} */ (element.shadowRoot.querySelector(".launcher"));
        this.#launcher.append(this.#badge);
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(styles);
        element.shadowRoot.adoptedStyleSheets.push(sheet);
        element.shadowRoot.append(this.#root);
        this.#dark.addEventListener("change", this.#shade);
        this.#themeWatch.observe(element, { attributeFilter: ["theme"] });
        this.#shade();
        this.#resume();
    }

    /** The visitor came from another page of the site. */
    #resume() {
        if (!this.#visit.memory.site.get().live) return;
        this.#visit.connect();
        // A panel that covers the page would hide what the visitor went to.
        if (this.#visit.memory.tab.get().open && !matchMedia(SMALL).matches) this.#show(false);
    }

    // ---- what the page calls

    open() {
        if (this.#panel.isOpen) return;
        this.#visit.connect();
        if (this.#visit.queues && !this.#visit.thread) this.#visit.refreshQueues();
        this.#show(true);
    }

    close() {
        if (!this.#panel.isOpen) return;
        this.#panel.hide();
        this.#launcher.hidden = false;
        this.#launcher.focus();
        this.#visit.memory.tab.put({ open: false });
        this.#changed();
        this.#tell("close", undefined);
    }

    /** @param {{ queue?: string, message?: string }} [given] */
    async start(given = {}) {
        this.#visit.connect();
        await this.#visit.begin(given.queue, given.message);
    }

    /** @param {string} text */
    async send(text) {
        this.#visit.connect();
        await this.#visit.say(String(text));
    }

    /** @param {{ name?: string } & import("../protocol").MetadataChanges} who */
    identify(who) {
        this.#visit.identify(who);
    }

    /** @param {import("../protocol").MetadataChanges} metadata */
    setMetadata(metadata) {
        this.#visit.setMetadata(metadata);
    }

    /** Leaves the page as it was; what is kept stays for the next one. */
    stop() {
        this.#isStopped = true;
        this.#visit.stop();
        this.#panel.stop();
        this.#root.remove();
        this.#dark.removeEventListener("change", this.#shade);
        this.#themeWatch.disconnect();
    }

    // ---- what is shown

    /** @param {boolean} takesFocus */
    #show(takesFocus) {
        this.#launcher.hidden = true;
        this.#visit.memory.tab.put({ open: true });
        this.#panel.open(takesFocus);
        this.#tell("open", undefined);
    }

    /** Many things change in one moment; they are shown together. */
    #changed() {
        if (this.#isUpdating || this.#isStopped) return;
        this.#isUpdating = true;
        queueMicrotask(() => {
            this.#isUpdating = false;
            if (this.#isStopped) return;
            this.#panel.update();
            const unread = this.#visit.thread?.unread ?? 0;
            this.#badge.hidden = unread === 0;
            write(this.#badge, unread > 99 ? "99+" : String(unread));
            const label = this.#element.getAttribute("label") ?? this.#speech.say("openChat");
            set(this.#launcher, "aria-label", unread ? this.#speech.count("openUnread", unread) : label);
        });
    }

    /**
     * @template {keyof WidgetEvents} Name
     * @param {Name} name
     * @param {WidgetEvents[Name]} value
     */
    #tell(name, value) {
        for (const handler of this.#element.handlers[name] ?? []) {
            try {
                handler(value);
            } catch (error) {
                console.error(error);
            }
        }
    }
}
