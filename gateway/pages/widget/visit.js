/**
 * The visitor's session: the connection, the conversation that is shown, and what is kept for the next page.
 * It decides what is done; the panel only shows it and passes on what the visitor wants.
 *
 * @typedef {import("../protocol").Conversation} Conversation
 * @typedef {import("../protocol").Queue} Queue
 * @typedef {import("../protocol").MetadataChanges} MetadataChanges
 * @typedef {import("../client.js").StateChange} StateChange
 * @typedef {import("../widget").WidgetEvents} WidgetEvents
 */

import { JonoClient, JonoError, randomKey } from "../client.js";
import { Memory } from "./memory.js";
import { pageNow, watchPage } from "./surroundings.js";
import { Thread } from "./thread.js";

/** Typing is said again this often, and taken back when nothing was typed for so long. */
const SAY_TYPING_EVERY_MS = 3_000;
const TYPING_STOPS_AFTER_MS = 5_000;
/** Names may have 200 bytes. */
const NAME_CHARS_MAX = 50;

/**
 * @typedef {object} Settings
 * @property {string} site
 * @property {string} url of the socket
 * @property {string} locale
 * @property {string | undefined} queue the one to begin in, unless another is chosen
 * @property {boolean} showsTyping agents see the text before it is sent
 * @property {() => void} changed something is to be shown anew
 * @property {<Name extends keyof WidgetEvents>(name: Name, value: WidgetEvents[Name]) => void} tell
 */

export class Visit {
    /** @type {StateChange} */ connection = { state: "idle" };
    /** @type {Queue[] | undefined} */ queues;
    /** @type {Thread | undefined} */ thread;
    /** A conversation is being started. */
    isStarting = false;
    /** Why it could not be started. @type {JonoError | undefined} */ refusal;
    /** @type {{ until?: number } | undefined} */ blocked;
    messageBytesMax = 16_384;

    #settings;
    #client;
    #stopWatching;
    /** @type {string | undefined} */ #name;
    /** @type {MetadataChanges} */ #metadata = {};
    /** @type {string | undefined} */ #customer;
    #unread = 0;
    #readWanted = 0;
    #saidTypingAt = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ #typingTimer;

    /** @param {Settings} settings */
    constructor(settings) {
        this.#settings = settings;
        this.memory = new Memory(settings.site);
        this.#client = new JonoClient({
            url: settings.url,
            open: () => ({
                role: "customer",
                site: settings.site,
                locale: settings.locale,
                name: this.#name,
                page: pageNow(),
            }),
            resume: {
                load: () => this.memory.site.reload().resume,
                save: (resume) => this.memory.site.put({ resume }),
            },
        });
        this.#listen();
        this.memory.onOtherTab((kept) => this.#otherTab(kept));
        this.#stopWatching = watchPage(() => this.#tellPage());
    }

    // ---- what the visitor and the page want

    connect() {
        const { conversation } = this.memory.site.get();
        // It may have ended meanwhile; then it is shown as ended.
        if (conversation && !this.thread) this.#client.track(conversation, 0);
        this.#client.connect();
    }

    stop() {
        clearTimeout(this.#typingTimer);
        this.#stopWatching();
        this.memory.stop();
        this.#client.close();
    }

    /** The server's time. */
    now() {
        return this.#client.now();
    }

    /**
     * @param {string | undefined} queue by default the site's, or the first that is open
     * @param {string | undefined} message
     * @param {string} [name]
     */
    async begin(queue, message, name) {
        if (this.isStarting) return;
        if (name) this.#name = name;
        this.isStarting = true;
        this.refusal = undefined;
        this.#changed();
        try {
            const chosen = queue ?? this.#settings.queue ?? (await this.#firstQueue());
            const { conversation } = await this.#start(chosen, message || undefined);
            this.#settings.tell("start", { conversation });
        } catch (error) {
            this.refusal = asJonoError(error);
            if (this.refusal.reason === "blocked") this.blocked = this.refusal.data;
            if (this.refusal.reason === "queue_closed") this.refreshQueues();
            throw error;
        } finally {
            this.isStarting = false;
            this.#changed();
        }
    }

    /**
     * @param {string} queue
     * @param {string | undefined} message
     */
    async #start(queue, message) {
        // The page that the session was opened on may be left by now.
        const page = pageNow();
        const given = { queue, message, name: this.#name };
        try {
            return await this.#client.request("conversation.start", { ...given, metadata: { ...this.#metadata, page } });
        } catch (error) {
            const { reason } = asJonoError(error);
            if (!["invalid", "too_large"].includes(reason) || Object.keys(this.#metadata).length === 0) throw error;
            // What the site says of its visitors must not keep them from being helped.
            console.warn("jono: the metadata are refused:", error);
            return this.#client.request("conversation.start", { ...given, metadata: { page } });
        }
    }

    async #firstQueue() {
        const { queues } = this.queues ? this : await this.#client.request("queue.list", {});
        return (queues?.find((queue) => queue.open) ?? queues?.[0])?.id ?? "";
    }

    /** Whether they are open is told at the beginning only. */
    async refreshQueues() {
        const { queues } = await this.#client.request("queue.list", {}).catch(() => this);
        this.queues = queues;
        this.#changed();
    }

    /** @param {string} text */
    say(text) {
        const { thread } = this;
        if (!thread?.isLive) return this.begin(undefined, text);
        const pending = { key: randomKey(), text, at: this.now(), hasFailed: false };
        this.#stopTyping();
        thread.pending.push(pending);
        return this.#deliver(thread, pending);
    }

    /** @param {string} key */
    retry(key) {
        const pending = this.thread?.pending.find((it) => it.key === key);
        if (this.thread && pending) this.#deliver(this.thread, pending);
    }

    /**
     * @param {Thread} thread
     * @param {import("./thread.js").Pending} pending
     */
    async #deliver(thread, pending) {
        pending.hasFailed = false;
        this.#changed();
        try {
            const { key, text } = pending;
            const { seq } = await this.#client.request("message.send", { conversation: thread.id, text, key });
            thread.stored(pending, seq);
        } catch (error) {
            const refusal = asJonoError(error);
            // Closed on purpose: the next page sends it.
            if (refusal.reason === "closed") return;
            pending.hasFailed = true;
            // A refusal is kept with its key as well: the next try is another request.
            pending.key = randomKey();
            if (refusal.reason === "blocked") this.blocked = refusal.data;
        }
        this.#changed();
    }

    /** @param {string} text what is written so far */
    typing(text) {
        const { thread } = this;
        if (!thread?.isLive) return;
        if (text === "") return this.#stopTyping();
        clearTimeout(this.#typingTimer);
        this.#typingTimer = setTimeout(() => this.#stopTyping(), TYPING_STOPS_AFTER_MS);
        const now = Date.now();
        const everyMs = this.#settings.showsTyping ? 1_000 : SAY_TYPING_EVERY_MS;
        if (now - this.#saidTypingAt < everyMs) return;
        this.#saidTypingAt = now;
        const preview = this.#settings.showsTyping ? text.slice(0, 1_000) : undefined;
        this.#client.signal("typing.set", { conversation: thread.id, typing: true, preview });
    }

    #stopTyping() {
        clearTimeout(this.#typingTimer);
        if (this.#saidTypingAt === 0 || !this.thread?.isLive) return;
        this.#saidTypingAt = 0;
        this.#client.signal("typing.set", { conversation: this.thread.id, typing: false });
    }

    /** The visitor is still there. Typing counts as activity. */
    stillHere() {
        if (!this.thread) return;
        this.#client.signal("typing.set", { conversation: this.thread.id, typing: true });
        this.#client.signal("typing.set", { conversation: this.thread.id, typing: false });
        this.thread.closeAt = undefined;
        this.#changed();
    }

    /** Everything that is shown has been seen. */
    read() {
        const { thread } = this;
        if (!thread || thread.unread === 0) return;
        thread.readByMe = this.#readWanted = thread.lastSeq;
        this.#tellRead();
        this.#changed();
    }

    #tellRead() {
        if (this.thread && this.#readWanted > 0) this.#client.signal("receipt.read", { conversation: this.thread.id, seq: this.#readWanted });
    }

    leave() {
        if (this.thread?.isLive) this.#client.request("conversation.leave", { conversation: this.thread.id }).catch(() => {});
    }

    /**
     * @param {number} rating 1 to 5
     * @param {string} comment
     */
    async rate(rating, comment) {
        const { thread } = this;
        if (!thread) return;
        await this.#client.request("conversation.rate", { conversation: thread.id, rating, comment: comment || undefined });
        thread.rating = rating;
        this.#changed();
    }

    /** The conversation that ended is put away. */
    dismiss() {
        if (this.thread?.isLive) return;
        if (this.thread) this.#client.forget(this.thread.id);
        this.thread = undefined;
        this.#readWanted = 0;
        this.memory.site.put({ conversation: undefined, live: false });
        this.refreshQueues();
    }

    /** @param {{ name?: string } & MetadataChanges} who */
    identify({ name, ...metadata }) {
        if (name) this.#name = name.replace(/\p{Cc}/gu, " ").slice(0, NAME_CHARS_MAX);
        this.setMetadata(metadata);
    }

    /** @param {MetadataChanges} metadata */
    setMetadata(metadata) {
        // Keys are words.
        const tidy = Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key.trim().replace(/\s+/g, "_"), value]));
        this.#metadata = { ...this.#metadata, ...tidy };
        this.#update(tidy);
    }

    /** @param {MetadataChanges} metadata */
    #update(metadata) {
        const { thread } = this;
        if (!thread?.isLive || Object.keys(metadata).length === 0) return;
        this.#client.request("metadata.update", { conversation: thread.id, metadata }).catch((error) => console.warn("jono:", error));
    }

    #tellPage() {
        if (!this.thread?.isLive) return;
        this.memory.site.put({ page: location.href });
        this.#update({ page: pageNow() });
    }

    // ---- what the server says

    #listen() {
        const client = this.#client;
        client.on("state", (connection) => {
            this.connection = connection;
            this.#settings.tell("connection", { state: connection.state });
            this.#changed();
        });
        client.on("reset", () => {
            this.thread = undefined;
            this.memory.site.put({ conversation: undefined, live: false });
        });
        client.on("opened", (opened) => this.#opened(opened));
        client.on("conversation", (conversation) => this.#followed(conversation));
        client.on("event", (event) => {
            if (event.conversation === this.thread?.id) this.#happened(this.thread, event);
        });
        /** @param {string} conversation @param {(thread: Thread) => void} act */
        const inThread = (conversation, act) => {
            if (conversation !== this.thread?.id) return;
            act(this.thread);
            this.#changed();
        };
        client.on("conversation.position", (it) => inThread(it.conversation, (thread) => thread.moved(it.position, it.wait_ms, it.reason)));
        client.on("conversation.deadline", (it) => inThread(it.conversation, (thread) => (thread.closeAt = it.close_at)));
        client.on("typing.changed", (it) => inThread(it.conversation, (thread) => thread.typed(it.by, it.typing, Date.now())));
        client.on("receipt.changed", (it) => inThread(it.conversation, (thread) => thread.marked(it.by, it.seq)));
        client.on("conversation.unfollowed", (it) => inThread(it.conversation, () => (this.thread = undefined)));
        client.on("customer.blocked", (it) => {
            this.blocked = it.blocked ? { until: it.until } : undefined;
            this.#changed();
        });
    }

    /** @param {import("../protocol").SessionOpened} opened */
    #opened(opened) {
        this.queues = opened.queues;
        this.blocked = opened.me.blocked;
        this.messageBytesMax = opened.limits.message_bytes;
        this.#customer = opened.me.id;
        const isHere = (/** @type {string} */ id) => opened.conversations.some((conversation) => conversation.id === id);
        const { conversation } = this.memory.site.get();
        const isLost = conversation && !isHere(conversation);
        if (this.thread && !isHere(this.thread.id)) this.thread = undefined;
        this.memory.site.put({ customer: opened.me.id, ...(isLost ? { conversation: undefined, live: false } : {}) });
        this.#tellRead();
        this.#changed();
    }

    /** @param {Conversation} conversation */
    #followed(conversation) {
        const { thread } = this;
        const isKept = conversation.id === this.memory.site.get().conversation;
        const isLive = conversation.state !== "closed";
        if (thread?.id === conversation.id) {
            thread.adopt(conversation);
        } else if (thread ? isLive && !(thread.isLive && thread.startedAt >= conversation.started_at) : isLive || isKept) {
            this.thread = new Thread(conversation);
            this.#readWanted = 0;
            this.#resend(this.thread);
        } else {
            return;
        }
        this.memory.site.put({ conversation: conversation.id, live: isLive });
        // The visitor came to another page in the middle of it.
        if (isLive && this.memory.site.get().page !== location.href) {
            const isNew = this.memory.site.get().page === undefined;
            this.memory.site.put({ page: location.href });
            if (!isNew) this.#update({ page: pageNow() });
        }
        this.#changed();
    }

    /**
     * What this tab had not sent before the page was left; the keys see to it that nothing is said twice.
     * @param {Thread} thread
     */
    #resend(thread) {
        for (const { conversation, key, text, at } of this.memory.tab.get().unsent ?? []) {
            if (conversation !== thread.id) continue;
            const pending = { key, text, at, hasFailed: false };
            thread.pending.push(pending);
            this.#deliver(thread, pending);
        }
    }

    /**
     * @param {Thread} thread
     * @param {import("../protocol").ConversationEvent} event
     */
    #happened(thread, event) {
        const isNews = event.seq > thread.newsAfter;
        thread.happened(event);
        if (isNews && event.type === "message") {
            const { conversation, seq, at, by, body } = event;
            const from = by.kind === "agent" ? "agent" : "visitor";
            const name = by.kind === "agent" ? by.name : undefined;
            this.#settings.tell("message", { conversation, seq, at, from, name, text: body.text });
        }
        if (isNews && event.type === "closed") {
            this.memory.site.put({ live: false, page: undefined });
            this.#settings.tell("end", { conversation: thread.id, cause: event.body.cause });
        }
        if (isNews && event.type === "rated") this.#settings.tell("rate", { conversation: thread.id, rating: event.body.rating });
        this.#changed();
    }

    /** @param {import("./memory.js").Kept} kept */
    #otherTab(kept) {
        // A conversation was begun there before the two tabs knew of each other.
        const isOther = kept.customer !== undefined && kept.customer !== this.#customer;
        if (isOther && kept.live && !this.thread?.isLive && this.connection.state === "online") this.#client.reopen();
    }

    #changed() {
        const unread = this.thread?.unread ?? 0;
        if (unread !== this.#unread) this.#settings.tell("unread", { count: unread });
        this.#unread = unread;
        const { thread } = this;
        if (thread || this.memory.tab.get().unsent) {
            const unsent = thread?.pending.filter((it) => !it.hasFailed).map(({ key, text, at }) => ({ conversation: thread.id, key, text, at }));
            const isSame = (unsent?.length ?? 0) === 0 && !this.memory.tab.get().unsent?.length;
            if (thread && !isSame) this.memory.tab.put({ unsent });
        }
        this.#settings.changed();
    }
}

/** @param {unknown} error */
function asJonoError(error) {
    return error instanceof JonoError ? error : new JonoError("failed", String(error));
}
