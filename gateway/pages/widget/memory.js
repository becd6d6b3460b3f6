/**
 * What the widget keeps in the browser: for the site who the visitor is and whether a conversation goes on,
 * for the tab what was written and not sent. Nothing is kept before the visitor opens the widget.
 *
 * @typedef {object} Kept
 * @property {string} [resume] brings the same customer back
 * @property {string} [customer]
 * @property {string} [conversation] the one that is shown
 * @property {boolean} [live] it goes on; also read by the launcher
 * @property {string} [page] the last page that the agents were told
 *
 * @typedef {object} KeptInTab
 * @property {boolean} [open] the panel
 * @property {string} [draft]
 * @property {{ conversation: string, key: string, text: string, at: number }[]} [unsent]
 */

/**
 * A record of one storage. Storages can be forbidden or full: then it is forgotten with the page.
 * @template {object} Record
 */
class Drawer {
    #storage;
    #name;
    /** @type {Record} */
    #held;
    #isKept = true;

    /**
     * @param {() => Storage} storage reading it may throw
     * @param {string} name
     */
    constructor(storage, name) {
        this.#storage = storage;
        this.#name = name;
        this.#held = /** @type {Record} */ ({});
        this.reload();
    }

    get() {
        return this.#held;
    }

    reload() {
        if (!this.#isKept) return this.#held;
        try {
            this.#held = JSON.parse(this.#storage()[this.#name] ?? "{}") ?? {};
        } catch {
            // What cannot be read is as good as nothing.
        }
        return this.#held;
    }

    /** @param {Partial<Record>} changes */
    put(changes) {
        // Another tab may have written meanwhile.
        this.#held = { ...this.reload(), ...changes };
        try {
            this.#storage()[this.#name] = JSON.stringify(this.#held);
        } catch {
            // Without storage the conversation lasts as long as the page.
            this.#isKept = false;
        }
    }
}

export class Memory {
    #name;
    #stopped = new AbortController();

    /** @param {string} site */
    constructor(site) {
        this.#name = `jono:${site}`;
        /** @type {Drawer<Kept>} */
        this.site = new Drawer(() => localStorage, this.#name);
        /** @type {Drawer<KeptInTab>} */
        this.tab = new Drawer(() => sessionStorage, this.#name);
    }

    /**
     * Another tab has kept something.
     * @param {(kept: Kept) => void} listener
     */
    onOtherTab(listener) {
        const heard = (/** @type {StorageEvent} */ event) => {
            if (event.key === this.#name && event.newValue !== null) listener(this.site.reload());
        };
        addEventListener("storage", heard, { signal: this.#stopped.signal });
    }

    stop() {
        this.#stopped.abort();
    }
}
