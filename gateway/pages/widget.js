// The launcher: a button that loads the rest when it is needed. Kept under 2 KiB compressed.
(() => {
    const script = /** @type {HTMLScriptElement?} */ (document.currentScript);
    const tag = "jono-chat";
    /** @type {Record<string, string>} */
    const labels = { en: "Open chat", fi: "Avaa chat", ru: "Открыть чат" };
    const style = `:host{all:initial;position:fixed;z-index:var(--jono-z-index,2147483000);right:var(--jono-side,20px);bottom:var(--jono-bottom,20px)}
:host([side=left]){right:auto;left:var(--jono-side,20px)}
@media print{:host{display:none}}
.launcher{all:unset;position:relative;display:grid;place-items:center;width:60px;height:60px;border-radius:50%;cursor:pointer;forced-color-adjust:none;
background:var(--jono-accent,#1d4ed8);color:var(--jono-accent-text,#fff);box-shadow:0 6px 24px #0004}
.launcher:hover{filter:brightness(1.1)}
.launcher:focus-visible{outline:3px solid var(--jono-accent,#1d4ed8);outline-offset:3px;box-shadow:0 0 0 3px #fff}
.launcher:before{content:"";width:28px;height:28px;background:currentColor;clip-path:path("M6 2h16a5 5 0 0 1 5 5v9a5 5 0 0 1-5 5H13l-7 6v-6a5 5 0 0 1-5-5V7a5 5 0 0 1 5-5z")}`;

    class JonoChat extends HTMLElement {
        /** Handlers of `on`. @type {Record<string, Set<Function>>} */
        handlers = {};
        /** What was said before the rest is loaded. @type {any[][]} */
        early = [];
        /** @type {Promise<any> | undefined} */
        core;

        connectedCallback() {
            const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(style);
            root.adoptedStyleSheets = [sheet];
            const button = document.createElement("button");
            button.className = "launcher";
            const language = this.getAttribute("locale") || document.documentElement.lang || navigator.language;
            button.ariaLabel = this.getAttribute("label") ?? labels[language.slice(0, 2)] ?? labels.en;
            button.onclick = () => this.open();
            root.replaceChildren(button);
            try {
                // A conversation goes on: its messages are to be counted.
                if (localStorage[`jono:${this.getAttribute("site")}`]?.includes('"live":true')) this.load();
            } catch {}
        }

        disconnectedCallback() {
            this.core?.then((core) => core.stop());
            this.core = undefined;
        }

        load() {
            const server = new URL(this.getAttribute("server") ?? ".", script?.src ?? location.href);
            return (this.core ??= import(`${server}widget/chat.js`).then(async (chat) => {
                const core = await chat.start(this, server);
                for (const [name, ...given] of this.early.splice(0)) core[name](...given);
                return core;
            }));
        }

        /** @param {string} name @param {Function} handler */
        on(name, handler) {
            const handlers = (this.handlers[name] ??= new Set()).add(handler);
            return () => handlers.delete(handler);
        }

        /** @param {any[][]} calls */
        push(...calls) {
            // Nobody waits for what becomes of them.
            // @ts-ignore
            for (const [name, ...given] of calls) Promise.resolve(this[name](...given)).catch(console.warn);
        }

        destroy() {
            this.remove();
            try {
                for (const kept of [localStorage, sessionStorage]) kept.removeItem(`jono:${this.getAttribute("site")}`);
            } catch {}
            if (window.Jono === this) delete window.Jono;
        }
    }
    for (const name of ["open", "start", "send", "close", "identify", "setMetadata"]) {
        // @ts-ignore
        JonoChat.prototype[name] = async function (...given) {
            if (this.core || ["open", "start", "send"].includes(name)) return (await this.load())[name](...given);
            this.early.push([name, ...given]);
        };
    }

    if (!customElements.get(tag)) customElements.define(tag, JonoChat);
    const begin = () => {
        /** @type {any} */
        let chat = document.querySelector(tag);
        if (!chat && script?.dataset.site) {
            chat = document.createElement(tag);
            for (const key in script.dataset) chat.setAttribute(key, script.dataset[key]);
            document.body.append(chat);
        }
        const calls = window.Jono;
        if (!chat || calls === chat) return;
        window.Jono = chat;
        if (Array.isArray(calls)) chat.push(...calls);
    };
    if (document.body) begin();
    else addEventListener("DOMContentLoaded", begin);
})();
