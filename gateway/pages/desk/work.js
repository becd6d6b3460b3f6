/**
 * What an agent can do, and what the desk shows of it beside the server's data: which list, which
 * conversation, drafts. Owns the client and the state; knows no elements.
 *
 * @module
 */

import { JonoClient, JonoError, randomKey } from "../client.js";
import * as store from "./store.js";

/**
 * @typedef {import("./store.js").State} State
 * @typedef {import("../protocol").Row} Row
 * @typedef {import("../protocol").ConversationEvent} Event
 * @typedef {"open" | "mine" | "closed" | "search"} Tab
 * @typedef {"reply" | "note"} Mode
 * @typedef {{organisation: string, token: string}} Credentials
 * @typedef {{id: number, kind: "error" | "done", text: string, values: {[name: string]: any}}} Message
 * @typedef {{reply: string, note: string}} Draft
 */

/** Pages of a list that are read by themselves; the rest when somebody asks. 50 rows each. */
const PAGES_AT_ONCE_MAX = 20;
/** Queues that another process serves are renewed one after the other, ms. */
const RENEWED_PAUSE_MS = 500;
/** The server takes typing as stopped after some seconds: it is said again so often. */
const TYPING_EACH_MS = 3_000;
/** Without a letter for this long, nobody types. */
const TYPING_STOPS_MS = 5_000;
const MESSAGES_MAX = 3;
const HISTORY_PAGE = 200;
/** Drafts that survive reloading the page. */
const DRAFTS_BYTES_MAX = 64 * 1024;

/** Events after which a conversation may be the agent's no more. */
const ENDS_HOLDING = new Set(["released", "assigned", "transferred", "closed"]);

const TOKEN = "jono desk";
const DRAFTS = "jono desk drafts";
const ORGANISATION = "jono desk organisation";

export class Work extends EventTarget {
    /** @type {State} */ state = store.create();
    /** @type {JonoClient | null} */ client = null;
    /** @type {Credentials | null} */ credentials = null;
    /** @type {import("../client.js").StateChange} */ connection = { state: "idle" };
    /** Why the sign-in form is shown again. @type {string | null} */ signedOut = null;

    /** @type {Tab} */ tab = "open";
    /** @type {string | null} */ queue = null;
    /** @type {string | null} */ selected = null;
    /** A found message: the conversation is shown there. @type {number | null} */ target = null;
    /** The selected conversation cannot be shown, and why. @type {string | null} */ missing = null;
    /** On narrow screens one pane is shown. @type {boolean} */ aside = false;
    /** @type {Map<string, Draft>} */ drafts = new Map();
    /** @type {Map<string, Mode>} */ modes = new Map();
    /** @type {Message[]} */ messages = [];
    /** The presence that was asked for. @type {import("../protocol").Status | null} */ wanted = null;
    /** Actions that wait for their answer. @type {Set<string>} */ busy = new Set();
    open = { loading: true, failed: false };
    closed = { loading: true, failed: false, cursor: /** @type {string | undefined} */ (undefined) };
    search = {
        text: "",
        loading: false,
        failed: false,
        hits: /** @type {{conversation: Row, event: Event}[]} */ ([]),
        cursor: /** @type {string | undefined} */ (undefined),
    };

    #nextMessage = 1;
    #searches = 0;
    #closedReads = 0;
    /** @type {number | undefined} */ #readingSoon;
    /** @type {{conversation: string, at: number, timer: ReturnType<typeof setTimeout>} | null} */ #typing = null;
    /** @type {Map<string, number>} */ #read = new Map();
    /** @type {Set<string>} */ #readingHistory = new Set();

    constructor() {
        super();
        try {
            this.credentials = JSON.parse(sessionStorage.getItem(TOKEN) ?? "null");
            this.drafts = new Map(JSON.parse(sessionStorage.getItem(DRAFTS) ?? "[]"));
        } catch {
            // Somebody else's data: begin anew.
        }
    }

    /** The server's time. */
    now() {
        return Date.now() + this.state.clock;
    }

    /** The organisation that signed in last in this browser. */
    get lastOrganisation() {
        return localStorage.getItem(ORGANISATION) ?? "";
    }

    get isOnline() {
        return this.connection.state === "online";
    }

    changed() {
        this.dispatchEvent(new Event("change"));
    }

    // ---- signing in and out

    /**
     * @param {string} organisation
     * @param {string} login
     * @param {string} password
     * @returns {Promise<string | null>} Why not, as the key of a text.
     */
    async signIn(organisation, login, password) {
        /** @type {Response} */
        let answer;
        try {
            answer = await fetch("/v1/sign-in", {
                method: "POST",
                headers: { "content-type": "application/json" },
                body: JSON.stringify({ organisation, login, password }),
            });
        } catch {
            return "signin_offline";
        }
        if (answer.status === 401) return "signin_wrong";
        if (answer.status === 429) return "signin_often";
        // A malformed organisation id is told apart by the server; to the agent it is just wrong.
        if (answer.status === 400 || answer.status === 422) return "signin_wrong";
        if (!answer.ok) return "signin_offline";
        const { token } = await answer.json();
        this.credentials = { organisation, token };
        sessionStorage.setItem(TOKEN, JSON.stringify(this.credentials));
        localStorage.setItem(ORGANISATION, organisation);
        this.signedOut = null;
        this.connect();
        return null;
    }

    /** @param {string | null} why The key of a text; without it the agent wanted it. */
    signOut(why = null) {
        this.client?.close();
        this.client = null;
        this.credentials = null;
        this.signedOut = why;
        sessionStorage.removeItem(TOKEN);
        if (!why) {
            this.drafts.clear();
            sessionStorage.removeItem(DRAFTS);
        }
        this.state = store.create();
        this.connection = { state: "idle" };
        this.open = { loading: true, failed: false };
        this.closed = { loading: true, failed: false, cursor: undefined };
        this.#read.clear();
        this.messages = [];
        this.changed();
    }

    // ---- the connection

    connect() {
        const { credentials } = this;
        if (!credentials) return;
        const client = new JonoClient({ url: socketUrl(), open: () => ({ role: "agent", token: credentials.token }) });
        this.client = client;
        client.on("state", (change) => this.#connection(change));
        client.on("reset", () => {
            const { clock } = this.state;
            this.state = { ...store.create(), clock };
        });
        client.on("opened", (opened) => this.#opened(opened));
        for (const name of /** @type {const} */ ([
            "event",
            "conversation",
            "conversation.unfollowed",
            "conversation.updated",
            "conversation.deadline",
            "queue.updated",
            "typing.changed",
            "receipt.changed",
            "agent.presence",
            "canned.changed",
        ])) {
            client.on(name, (params) => this.#notified(name, params));
        }
        client.on("canned.changed", ({ canned }) => void (canned || this.#readCanned()));
        client.on("notification.raised", (raised) => this.dispatchEvent(new CustomEvent("raised", { detail: raised })));
        client.on("organisation.changed", () => void this.#readOrganisation());
        client.on("queue.renewed", () => this.#readListsSoon());
        client.connect();
        this.changed();
    }

    /** @param {import("../client.js").StateChange} change */
    #connection(change) {
        this.connection = change;
        if (change.state === "refused" && (change.reason === "unauthorized" || change.reason === "forbidden")) {
            return this.signOut("signin_expired");
        }
        this.changed();
    }

    /** @param {import("../protocol").SessionOpened} opened */
    #opened(opened) {
        store.opened(this.state, opened, Date.now());
        void this.#readOpen();
        void this.readClosed(true);
        if (opened.incomplete?.length) void this.#readOrganisation();
        if (opened.incomplete?.includes("canned")) void this.#readCanned();
        if (opened.me.role === "operator") {
            for (const queue of opened.queues.slice(0, 200)) void this.#quietly("queue.subscribe", { queue: queue.id });
        }
        if (this.selected) void this.#show(this.selected);
        this.changed();
    }

    /**
     * @param {string} name
     * @param {any} params
     */
    #notified(name, params) {
        store.notified(this.state, name, params, Date.now());
        if (name === "conversation.unfollowed" && params.conversation === this.selected) this.missing = "not_found";
        if (name === "event" && ENDS_HOLDING.has(params.type)) this.#tidy();
        if (name === "event" || name === "conversation.deadline") {
            this.dispatchEvent(new CustomEvent("told", { detail: { name, params } }));
        }
        this.changed();
    }

    /** Several queues are renewed together: the lists are read once. */
    #readListsSoon() {
        clearTimeout(this.#readingSoon);
        this.#readingSoon = window.setTimeout(() => {
            void this.#readOpen();
            void this.readClosed(true);
        }, RENEWED_PAUSE_MS);
    }

    async #readOpen() {
        const session = this.state.session;
        /** @type {string | undefined} */
        let cursor;
        for (let page = 0; page < PAGES_AT_ONCE_MAX; page += 1) {
            const read = await this.#quietly("conversation.list", { view: "open", cursor });
            if (session !== this.state.session) return;
            if (!read) {
                this.open = { loading: false, failed: true };
                return this.changed();
            }
            cursor = read.cursor;
            store.listed(this.state, "open", read.conversations, { first: page === 0, last: cursor === undefined });
            this.open = { loading: cursor !== undefined, failed: false };
            this.changed();
            if (cursor === undefined) return;
        }
        this.open = { loading: false, failed: false };
    }

    /** @param {boolean} first The newest, instead of those after the ones that are here. */
    async readClosed(first = false) {
        const read = ++this.#closedReads;
        const cursor = first ? undefined : this.closed.cursor;
        this.closed = { ...this.closed, loading: true };
        this.changed();
        const page = await this.#quietly("conversation.list", { view: "closed", queue: this.queue ?? undefined, cursor });
        if (read !== this.#closedReads) return;
        if (page) store.listed(this.state, "closed", page.conversations, { first, last: page.cursor === undefined });
        this.closed = { loading: false, failed: !page, cursor: page ? page.cursor : cursor };
        this.changed();
    }

    async #readOrganisation() {
        const { state } = this;
        /** @type {import("../protocol").Colleague[]} */ const agents = [];
        /** @type {import("../protocol").Queue[]} */ const queues = [];
        /** @type {import("../protocol").Tag[]} */ const tags = [];
        await Promise.all([
            this.#pages("agent.list", {}, (page) => agents.push(...page.agents)),
            this.#pages("queue.list", {}, (page) => queues.push(...page.queues)),
            this.#pages("tag.list", {}, (page) => tags.push(...page.tags)),
            this.#readCanned(),
        ]);
        if (state !== this.state || !this.client) return;
        state.agents = new Map(agents.map((agent) => [agent.id, agent]));
        state.queues = new Map(queues.map((queue) => [queue.id, queue]));
        state.tags = tags;
        if (this.queue && !state.queues.has(this.queue)) this.queue = null;
        this.changed();
    }

    async #readCanned() {
        const { state } = this;
        /** @type {import("../protocol").Canned[]} */ const canned = [];
        await this.#pages("canned.list", {}, (page) => canned.push(...page.canned));
        state.canned = canned;
        this.changed();
    }

    /**
     * @template {"agent.list" | "queue.list" | "tag.list" | "canned.list"} Name
     * @param {Name} method
     * @param {any} params
     * @param {(page: import("../protocol").Methods[Name]["result"]) => void} take
     */
    async #pages(method, params, take) {
        /** @type {string | undefined} */
        let cursor;
        for (let page = 0; page < PAGES_AT_ONCE_MAX; page += 1) {
            /** @type {import("../protocol").Methods[Name]["result"] | undefined} */
            const read = await this.#quietly(method, { ...params, cursor });
            if (!read) return;
            take(read);
            cursor = read.cursor;
            if (cursor === undefined) return;
        }
    }

    // ---- looking

    /** @param {Tab} tab */
    showTab(tab) {
        this.tab = tab;
        this.changed();
    }

    /** @param {string | null} queue */
    filter(queue) {
        this.queue = this.queue === queue ? null : queue;
        void this.readClosed(true);
    }

    /**
     * @param {string | null} conversation
     * @param {number | null} [target] The event to show.
     */
    select(conversation, target = null) {
        this.target = target;
        if (this.selected !== conversation) {
            this.stopTyping();
            this.selected = conversation;
            this.#tidy();
            this.missing = null;
            if (conversation && this.isOnline) void this.#show(conversation);
        }
        this.changed();
    }

    /** @param {string} conversation */
    async #show(conversation) {
        const talk = this.state.talks.get(conversation);
        if (talk?.followed) {
            this.missing = null;
            return;
        }
        const after = talk?.events.at(-1)?.seq ?? 0;
        try {
            const answer = await this.client?.request("conversation.follow", { conversation, after });
            if (!answer) return;
            // The client tells `conversation` before this answer; whoever has looked elsewhere meanwhile is not told on.
            this.#tidy();
        } catch (error) {
            // An address that names no conversation at all is no different from one that is not there.
            const why = reason(error);
            if (this.selected === conversation) this.missing = why === "invalid" ? "not_found" : why;
        }
        this.changed();
    }

    /** Follows nothing but the agent's own conversations and the one that is looked at. */
    #tidy() {
        for (const { id, followed } of this.state.talks.values()) {
            const row = this.state.rows.get(id);
            const isOwn = row?.state === "active" && store.isMine(this.state, row);
            if (!followed || isOwn || id === this.selected) continue;
            store.unfollowed(this.state, id);
            void this.#quietly("conversation.unfollow", { conversation: id });
        }
    }

    /**
     * Reads what was said before that which is here.
     *
     * @param {string} conversation
     */
    async readBefore(conversation) {
        const talk = this.state.talks.get(conversation);
        if (!talk || talk.from === 0 || this.#readingHistory.has(conversation)) return;
        this.#readingHistory.add(conversation);
        const before = talk.events[0]?.seq ?? talk.from + 1;
        const page = await this.#quietly("conversation.history", { conversation, before, limit: HISTORY_PAGE });
        this.#readingHistory.delete(conversation);
        if (!page) return;
        store.history(this.state, conversation, page.events, page.more ? (page.events[0]?.seq ?? 1) - 1 : 0);
        this.changed();
    }

    /**
     * The agent sees everything: says so, if it is theirs to say.
     *
     * @param {string} conversation
     */
    seen(conversation) {
        const row = this.state.rows.get(conversation);
        const talk = this.state.talks.get(conversation);
        if (!row || !talk || !this.isOnline || !store.isMine(this.state, row)) return;
        const last = talk.events.findLast((one) => one.type === "message" && one.by.kind === "customer");
        if (!last || last.seq <= (this.#read.get(conversation) ?? 0)) return;
        this.#read.set(conversation, last.seq);
        this.client?.signal("receipt.read", { conversation, seq: last.seq });
        if (row.unread > 0) this.state.rows.set(conversation, { ...row, unread: 0 });
    }

    /** @param {string} text */
    async find(text) {
        const run = ++this.#searches;
        this.tab = text ? "search" : this.tab === "search" ? "open" : this.tab;
        this.search = { text, loading: text !== "", failed: false, hits: [], cursor: undefined };
        this.changed();
        if (text) await this.#find(run);
    }

    async findMore() {
        this.search = { ...this.search, loading: true };
        this.changed();
        await this.#find(this.#searches);
    }

    /** @param {number} run */
    async #find(run) {
        // A page may be empty while there is more: go on, for a while.
        for (let pages = 0; pages < PAGES_AT_ONCE_MAX; pages += 1) {
            const { text, cursor } = this.search;
            const page = await this.#quietly("conversation.search", { text, queue: this.queue ?? undefined, cursor });
            if (run !== this.#searches) return;
            const hits = [...this.search.hits, ...(page?.hits ?? [])];
            const goesOn = page?.cursor !== undefined && page.hits.length === 0;
            this.search = { ...this.search, loading: goesOn, failed: !page, hits, cursor: page?.cursor };
            this.changed();
            if (!goesOn) return;
        }
        this.search = { ...this.search, loading: false };
        this.changed();
    }

    // ---- conversations

    /** @param {string | undefined} queue Without it, the one whose first customer has waited longest. */
    async pick(queue = this.queue ?? store.longest(this.state)?.id) {
        if (!queue) return this.tell("error", "error_queue_empty");
        const picked = await this.#do(`pick ${queue}`, "queue.pick", { queue });
        if (picked) this.#taken(picked.conversation);
    }

    /** @param {string} conversation */
    async take(conversation) {
        const taken = await this.#do(`take ${conversation}`, "conversation.claim", { conversation });
        if (taken) this.#taken(taken.conversation);
    }

    /** @param {string} conversation */
    #taken(conversation) {
        if (!this.draft(conversation).note) this.modes.set(conversation, "reply");
        this.dispatchEvent(new CustomEvent("taken", { detail: conversation }));
    }

    /** @param {string} conversation */
    release(conversation) {
        return this.#under(conversation, "conversation.release", {});
    }

    /** @param {string} conversation */
    keep(conversation) {
        return this.#under(conversation, "conversation.touch", {});
    }

    /** @param {string} conversation */
    close(conversation) {
        return this.#under(conversation, "conversation.close", {});
    }

    /**
     * @param {string} conversation
     * @param {string} agent
     * @param {string} name
     */
    async assign(conversation, agent, name) {
        const done = await this.#under(conversation, "conversation.assign", { agent });
        if (done) this.tell("done", "done_assigned", { name });
    }

    /**
     * @param {string} conversation
     * @param {string} queue
     * @param {string} name
     * @param {string} note
     */
    async transfer(conversation, queue, name, note) {
        const done = await this.#under(conversation, "conversation.transfer", { queue, ...(note && { note }) });
        if (done) this.tell("done", "done_transferred", { name });
    }

    /**
     * @param {string} conversation
     * @param {"conversation.release" | "conversation.touch" | "conversation.close" | "conversation.assign" | "conversation.transfer"} method
     * @param {any} params
     */
    #under(conversation, method, params) {
        const row = this.state.rows.get(conversation);
        const claim = row && store.isMine(this.state, row) ? { claim: row.claim } : {};
        return this.#do(`${method} ${conversation}`, method, { conversation, ...claim, ...params });
    }

    /**
     * @param {string} conversation
     * @param {"message" | "note"} type
     * @param {string} text
     */
    async write(conversation, type, text) {
        const { client, state } = this;
        if (!client) return;
        const key = randomKey();
        const claim = state.rows.get(conversation)?.claim;
        store.sending(state, conversation, { key, type, text, at: this.now() });
        this.#typing = null;
        this.changed();
        try {
            const written =
                type === "note"
                    ? await client.request("note.add", { conversation, text, key })
                    : await client.request("message.send", { conversation, text, claim, key });
            if (written.seq !== undefined) store.sent(state, conversation, key, written.seq);
        } catch (error) {
            store.failed(state, conversation, key, `error_${reason(error)}`);
        }
        this.changed();
    }

    /**
     * @param {string} conversation
     * @param {string} key
     * @returns {import("./store.js").Pending | undefined} What was put away.
     */
    putAway(conversation, key) {
        const pending = this.state.talks.get(conversation)?.pending.find((one) => one.key === key);
        store.dropped(this.state, conversation, key);
        this.changed();
        return pending;
    }

    /**
     * @param {string} conversation
     * @param {string} tag
     * @param {boolean} on
     */
    tag(conversation, tag, on) {
        return this.#do(`tag ${conversation} ${tag}`, on ? "tag.add" : "tag.remove", { conversation, tag });
    }

    /**
     * @param {string} conversation
     * @param {number} priority
     */
    priority(conversation, priority) {
        return this.#do(`priority ${conversation}`, "priority.set", { conversation, priority });
    }

    /**
     * @param {string} conversation
     * @param {number | undefined} duration_ms Without it, for ever.
     */
    block(conversation, duration_ms) {
        return this.#do(`block ${conversation}`, "customer.block", { conversation, duration_ms });
    }

    /** @param {string} conversation */
    unblock(conversation) {
        return this.#do(`block ${conversation}`, "customer.unblock", { conversation });
    }

    /**
     * The agents who could take it over.
     *
     * @param {string} queue
     */
    async colleagues(queue) {
        /** @type {import("../protocol").Colleague[]} */ const agents = [];
        await this.#pages("agent.list", { queue }, (page) => agents.push(...page.agents));
        return agents.filter((agent) => agent.id !== this.state.me?.id);
    }

    // ---- writing

    /**
     * @param {string} conversation
     * @returns {Draft}
     */
    draft(conversation) {
        return this.drafts.get(conversation) ?? { reply: "", note: "" };
    }

    /**
     * @param {string} conversation
     * @param {Mode} mode
     * @param {string} text
     */
    keepDraft(conversation, mode, text) {
        const draft = { ...this.draft(conversation), [mode]: text };
        if (draft.reply || draft.note) this.drafts.set(conversation, draft);
        else this.drafts.delete(conversation);
        const all = JSON.stringify([...this.drafts]);
        if (all.length <= DRAFTS_BYTES_MAX) sessionStorage.setItem(DRAFTS, all);
    }

    /**
     * @param {string} conversation
     * @returns {Mode}
     */
    mode(conversation) {
        return this.modes.get(conversation) ?? "reply";
    }

    /**
     * @param {string} conversation
     * @param {Mode} mode
     */
    setMode(conversation, mode) {
        this.modes.set(conversation, mode);
        if (mode === "note") this.stopTyping();
        this.changed();
    }

    /**
     * A letter was typed in the answer to the customer.
     *
     * @param {string} conversation
     */
    types(conversation) {
        const now = Date.now();
        const before = this.#typing;
        if (before) clearTimeout(before.timer);
        const isDue = !before || before.conversation !== conversation || now - before.at >= TYPING_EACH_MS;
        if (isDue) this.client?.signal("typing.set", { conversation, typing: true });
        const timer = setTimeout(() => this.stopTyping(), TYPING_STOPS_MS);
        this.#typing = { conversation, at: isDue ? now : before.at, timer };
    }

    stopTyping() {
        if (!this.#typing) return;
        clearTimeout(this.#typing.timer);
        this.client?.signal("typing.set", { conversation: this.#typing.conversation, typing: false });
        this.#typing = null;
    }

    // ---- the agent and the organisation

    /** @param {import("../protocol").Status} status */
    async presence(status) {
        if (this.busy.has("presence")) return;
        this.wanted = status;
        const done = await this.#do("presence", "presence.set", { status });
        this.wanted = null;
        const me = this.state.me;
        const since = this.now();
        if (done && me)
            store.notified(this.state, "agent.presence", { agent: me.id, status, connected: true, since }, Date.now());
        this.changed();
    }

    /**
     * @param {string} queue
     * @param {boolean} isOpen
     */
    setQueue(queue, isOpen) {
        return this.#do(`queue ${queue}`, isOpen ? "queue.open" : "queue.close", { queue });
    }

    /**
     * @param {string} keyword
     * @param {string} text
     * @param {"personal" | "shared"} scope
     */
    async setCanned(keyword, text, scope) {
        const done = await this.#do("canned", "canned.set", { keyword, text, scope });
        if (done) await this.#readCanned();
        return done !== undefined;
    }

    /**
     * @param {string} keyword
     * @param {"personal" | "shared"} scope
     */
    async removeCanned(keyword, scope) {
        const done = await this.#do("canned", "canned.remove", { keyword, scope });
        if (done) await this.#readCanned();
    }

    // ---- asking

    /**
     * Asks now or not at all, and says what was refused.
     *
     * @template {keyof import("../protocol").Methods} Name
     * @param {string} what So that nobody does it twice at once.
     * @param {Name} method
     * @param {import("../protocol").Methods[Name]["params"]} params
     * @returns {Promise<import("../protocol").Methods[Name]["result"] | undefined>}
     */
    async #do(what, method, params) {
        if (!this.client || this.busy.has(what)) return undefined;
        this.busy.add(what);
        this.changed();
        try {
            return await this.client.request(method, params, { onlineOnly: true });
        } catch (error) {
            const holder = error instanceof JonoError ? error.data.holder?.name : undefined;
            const key = reason(error);
            this.tell("error", key === "claim_lost" && holder ? "error_claim_held" : `error_${key}`, { name: holder ?? "?" });
            return undefined;
        } finally {
            this.busy.delete(what);
            this.changed();
        }
    }

    /**
     * Asks for what is shown as missing if it fails.
     *
     * @template {keyof import("../protocol").Methods} Name
     * @param {Name} method
     * @param {import("../protocol").Methods[Name]["params"]} params
     * @returns {Promise<import("../protocol").Methods[Name]["result"] | undefined>}
     */
    async #quietly(method, params) {
        try {
            return await this.client?.request(method, params);
        } catch {
            return undefined;
        }
    }

    /**
     * @param {"error" | "done"} kind
     * @param {string} text The key of a text.
     * @param {{[name: string]: any}} [values]
     */
    tell(kind, text, values = {}) {
        this.messages = [...this.messages, { id: this.#nextMessage++, kind, text, values }].slice(-MESSAGES_MAX);
        this.changed();
    }

    /** @param {number} id */
    dismiss(id) {
        this.messages = this.messages.filter((message) => message.id !== id);
        this.changed();
    }
}

/** The server that this page came from. */
export function socketUrl() {
    return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/v1/ws`;
}

/** @param {unknown} error */
function reason(error) {
    return error instanceof JonoError ? error.reason : "failed";
}
