/**
 * One conversation as its visitor sees it: what the log says, and what is on its way. It knows no socket,
 * no page and no language.
 *
 * @typedef {import("../protocol").Conversation} Conversation
 * @typedef {import("../protocol").ConversationEvent} ConversationEvent
 * @typedef {import("../protocol").By} By
 */

/**
 * A message of the log. `key` is that of the pending one that it was.
 * @typedef {{ kind: "message", seq: number, at: number, isMine: boolean, author: string, text: string, key?: string }} Message
 */

/**
 * Something that happened, to be said in the log. `what` names the text.
 * @typedef {"joined" | "returned" | "handed" | "moved" | "endedAgent" | "endedCustomer" | "endedInactive"} Happening
 * @typedef {{ kind: "line", seq: number, at: number, what: Happening, name?: string, queue?: string }} Line
 */

/**
 * A message of the visitor that is not in the log yet.
 * @typedef {{ key: string, text: string, at: number, hasFailed: boolean, seq?: number }} Pending
 */

/** Typing is taken as stopped after so long without news. */
const TYPING_LASTS_MS = 8_000;
/** A warning is shown so long before the end. */
const WARN_BEFORE_MS = 60_000;

export class Thread {
    /** @type {(Message | Line)[]} */
    entries = [];
    /** @type {Pending[]} */
    pending = [];
    /** @type {{ name: string, until: number } | undefined} */
    typing;
    /** The last event that an agent has read, and the visitor. */
    readByAgent = 0;
    readByMe = 0;
    /** Why the position became worse. @type {"priority" | "returned" | undefined} */
    positionReason;

    /** @param {Conversation} conversation */
    constructor(conversation) {
        this.id = conversation.id;
        this.startedAt = conversation.started_at;
        /** What came before the widget looked is no news. */
        this.newsAfter = conversation.head;
        this.adopt(conversation);
    }

    /**
     * The conversation as it stands; events up to its head are already in it.
     * @param {Conversation} conversation
     */
    adopt(conversation) {
        this.queue = conversation.queue;
        this.state = conversation.state;
        this.head = conversation.head;
        this.holder = conversation.holder?.name;
        this.position = conversation.position;
        this.waitMs = conversation.wait_ms;
        this.closeAt = conversation.close_at;
        this.rating = conversation.rating;
        for (const mark of conversation.marks ?? []) this.marked(mark.by, mark.seq);
    }

    get isLive() {
        return this.state !== "closed";
    }

    /** Messages that the visitor has not seen. */
    get unread() {
        return this.entries.filter((entry) => entry.kind === "message" && !entry.isMine && entry.seq > this.readByMe).length;
    }

    /** The last event that is shown. */
    get lastSeq() {
        return this.entries.at(-1)?.seq ?? 0;
    }

    /** Who serves, or served last: what the agent's messages are answered under. */
    get lastAuthor() {
        const last = this.entries.findLast((entry) => entry.kind === "message" && !entry.isMine);
        return this.holder ?? (last?.kind === "message" ? last.author : undefined);
    }

    /** @param {ConversationEvent} event the next one of the log */
    happened(event) {
        if (event.seq > (this.head ?? 0)) {
            this.head = event.seq;
            this.closeAt = event.close_at;
            this.#change(event);
        }
        this.#show(event);
    }

    /** @param {ConversationEvent} event */
    #change(event) {
        switch (event.type) {
            case "queued":
                this.#wait(event.body.position, event.body.wait_ms);
                break;
            case "claimed":
                this.#serve(event.body.agent.name);
                break;
            case "assigned":
                this.#serve(event.body.to.name);
                break;
            case "released":
                this.#wait(undefined, undefined);
                break;
            case "transferred":
                this.queue = event.body.to;
                this.#wait(undefined, undefined);
                break;
            case "closed":
                this.state = "closed";
                this.typing = undefined;
                this.closeAt = undefined;
                break;
            case "rated":
                this.rating = event.body.rating;
                break;
        }
    }

    /**
     * @param {number | undefined} position
     * @param {number | undefined} waitMs
     */
    #wait(position, waitMs) {
        this.state = "waiting";
        this.holder = undefined;
        this.typing = undefined;
        this.moved(position, waitMs, undefined);
    }

    /** @param {string} name */
    #serve(name) {
        this.state = "active";
        this.holder = name;
        this.moved(undefined, undefined, undefined);
    }

    /**
     * The place in the queue.
     * @param {number | undefined} position
     * @param {number | undefined} waitMs
     * @param {"priority" | "returned" | undefined} reason
     */
    moved(position, waitMs, reason) {
        this.position = position;
        this.waitMs = waitMs;
        this.positionReason = reason;
    }

    /** @param {ConversationEvent} event */
    #show(event) {
        const { seq, at } = event;
        /** @param {Omit<Line, "kind" | "seq" | "at">} line */
        const say = (line) => this.entries.push({ kind: "line", seq, at, ...line });
        switch (event.type) {
            case "message":
                this.#showMessage(event, event.body.text);
                break;
            case "claimed":
                say({ what: "joined", name: event.body.agent.name });
                break;
            case "released":
                say({ what: "returned", name: event.body.agent.name });
                break;
            case "assigned":
                say({ what: event.body.from ? "handed" : "joined", name: event.body.to.name });
                break;
            case "transferred":
                say({ what: "moved", queue: event.body.to });
                break;
            case "closed":
                say({
                    what: event.body.cause === "agent" ? "endedAgent" : event.body.cause === "customer" ? "endedCustomer" : "endedInactive",
                    name: event.by.kind === "agent" ? event.by.name : this.lastAuthor,
                });
                break;
        }
    }

    /**
     * @param {ConversationEvent} event
     * @param {string} text
     */
    #showMessage(event, text) {
        const isMine = event.by.kind === "customer";
        const author = event.by.kind === "agent" ? event.by.name : "";
        // The answer may come behind the event: what was written first is stored first.
        const stored = isMine ? this.pending.find((it) => it.seq === event.seq || (it.seq === undefined && it.text === text)) : undefined;
        this.pending = this.pending.filter((it) => it !== stored);
        this.entries.push({ kind: "message", seq: event.seq, at: event.at, isMine, author, text, key: stored?.key });
        if (!isMine) this.typing = undefined;
    }

    /**
     * The answer to a message that was sent.
     * @param {Pending} pending
     * @param {number | undefined} seq
     */
    stored(pending, seq) {
        pending.seq = seq;
        const isShown = this.entries.some((entry) => entry.seq === seq);
        if (isShown) this.pending = this.pending.filter((it) => it !== pending);
    }

    /**
     * @param {By} by
     * @param {number} seq
     */
    marked(by, seq) {
        if (by.kind === "agent") this.readByAgent = Math.max(this.readByAgent, seq);
        if (by.kind === "customer") this.readByMe = Math.max(this.readByMe, seq);
    }

    /**
     * @param {By} by
     * @param {boolean} isTyping
     * @param {number} now
     */
    typed(by, isTyping, now) {
        if (by.kind !== "agent") return;
        this.typing = isTyping ? { name: by.name, until: now + TYPING_LASTS_MS } : undefined;
    }

    /**
     * Who is typing.
     * @param {number} now
     */
    typistAt(now) {
        return this.typing && now < this.typing.until ? this.typing.name : undefined;
    }

    /**
     * Milliseconds until it ends by itself, when that is soon.
     * @param {number} now the server's time
     */
    endsInMs(now) {
        if (this.closeAt === undefined || !this.isLive) return undefined;
        const leftMs = this.closeAt - now;
        return leftMs <= WARN_BEFORE_MS ? Math.max(0, leftMs) : undefined;
    }
}
