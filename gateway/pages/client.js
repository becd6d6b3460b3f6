/**
 * A client of Jono's WebSocket protocol, for browsers and anything else with a `WebSocket`.
 *
 * It owns the connection: opening the session, coming back after a loss with what was missed, repeating
 * what was asked with the same key, waiting between attempts. It knows nothing of pages.
 *
 * ```js
 * const client = new JonoClient({
 *     url: "wss://chat.example/v1/ws",
 *     open: () => ({ role: "customer", site: "demo", locale: "fi" }),
 *     resume: { load: () => localStorage.token, save: (token) => { localStorage.token = token ?? ""; } },
 * });
 * client.on("event", (event) => { ... });          // every event of followed conversations: once, in order
 * client.on("typing.changed", (typing) => { ... }); // any notification, by its name
 * client.connect();
 * const { conversation } = await client.request("conversation.start", { queue, message: "Hello" });
 * ```
 *
 * `request` may be called at any time, also before `connect` and while there is no connection: what was
 * asked waits, in order, and is asked again after a loss. Methods that change something get a `key` by
 * themselves, so nothing is done twice.
 *
 * @module
 * @typedef {import("./protocol").SessionOpen} SessionOpen
 * @typedef {import("./protocol").SessionOpened} SessionOpened
 * @typedef {import("./protocol").Conversation} Conversation
 * @typedef {import("./protocol").ConversationEvent} ConversationEvent
 * @typedef {import("./protocol").Methods} Methods
 * @typedef {import("./protocol").Notifications} Notifications
 */

/**
 * Where the connection stands.
 * - `idle`: not asked to connect yet, or closed on purpose
 * - `connecting`: a socket or a session is being opened
 * - `online`: the session is open
 * - `waiting`: lost; tries again at `retryAt`
 * - `refused`: given up; only `connect()` tries again. `reason` says why
 * @typedef {"idle" | "connecting" | "online" | "waiting" | "refused"} State
 */

/**
 * @typedef {object} StateChange
 * @property {State} state
 * @property {number} [retryAt] when the next attempt is made, by this machine's clock, ms (`waiting`)
 * @property {string} [reason] why (`refused`): `unauthorized`, `forbidden`, `superseded`, or another of the server's
 */

/**
 * What a client tells, besides every notification under its own name.
 * @typedef {object} OwnEvents
 * @property {StateChange} state the connection changed
 * @property {SessionOpened} opened a session is open, for the first time or again
 * @property {Conversation} conversation a conversation is followed from now on, or again; its events come next
 * @property {ConversationEvent} event an event that was not told before; in order for each conversation
 * @property {{ reason: "log" | "customer" }} reset forget every conversation: the server's data are new, or
 *     the visitor is another one. Comes before `opened`
 * @property {number} outbox how many requests wait for an answer
 */

/** @typedef {OwnEvents & Notifications} Events */

/**
 * @typedef {object} Options
 * @property {string} url such as `wss://chat.example/v1/ws`
 * @property {() => SessionOpen} open parameters of `session.open`, asked for at every attempt; `resume` and `since` are added
 * @property {{ load(): string | undefined, save(token: string | undefined): void }} [resume] customers: where the
 *     token is kept that brings the same customer back; by default in memory
 * @property {typeof WebSocket} [WebSocket] where there is no global one
 */

/**
 * @typedef {object} RequestOptions
 * @property {boolean} [onlineOnly] fail with `offline` instead of waiting for a connection: for what would surprise later
 */

/** Methods that change something: they take a `key`. */
const MUTATING = new Set([
    "conversation.start", "message.send", "queue.pick", "conversation.claim", "conversation.release", "conversation.touch",
    "conversation.assign", "conversation.transfer", "conversation.close", "conversation.leave", "conversation.rate", "note.add",
    "tag.add", "tag.remove", "priority.set", "metadata.update", "customer.block", "customer.unblock", "queue.open",
    "queue.close", "presence.set", "canned.set", "canned.remove",
]);

/** The session may have 64; some room is left for signals and pings. */
const IN_FLIGHT_MAX = 48;
/** More than this waits: something is wrong with the caller. */
const OUTBOX_MAX = 1000;
/** `session.open` takes at most this many conversations in `since`. */
const SINCE_MAX = 256;
const HISTORY_PAGE = 500;

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** A server that goes says so: others are there already, but a crowd should not come in one moment. */
const BACKOFF_GOING_MS = 400;
const BACKOFF_RATE_MS = 5_000;
/** The session must be open by then. The server gives it 10 s. */
const OPEN_WITHIN_MS = 15_000;
/** After so long without a word the server is asked whether it is there; */
const SILENT_MS = 25_000;
/** after so much longer the connection is taken for dead. */
const DEAD_AFTER_MS = 10_000;

const CLOSE_DONE = 1000;
const CLOSE_GOING = 1001;
const CLOSE_RESTART = 1012;
const CLOSE_UNAUTHORIZED = 4001;
const CLOSE_SUPERSEDED = 4002;
const CLOSE_RIGHTS_CHANGED = 4004;
const CLOSE_RATE = 4005;

/** A request was refused, or could not be made. */
export class JonoError extends Error {
    /**
     * @param {string} reason as in the protocol, or `offline`, `closed`; `invalid` for malformed parameters
     * @param {string} [message]
     * @param {{ code?: number, [member: string]: unknown }} [data]
     */
    constructor(reason, message = reason, data = {}) {
        super(message);
        this.name = "JonoError";
        this.reason = reason;
        /** @type {Record<string, any>} */
        this.data = data;
    }

    /** @param {{ code: number, message: string, data?: Record<string, any> }} error */
    static from(error) {
        const reason = error.data?.reason ?? (error.code === -32602 ? "invalid" : error.code === -32601 ? "not_supported" : "failed");
        return new JonoError(reason, error.data?.detail ?? error.message, { ...error.data, code: error.code });
    }
}

/**
 * One request that waits for its answer.
 * @typedef {object} Asked
 * @property {number} id
 * @property {string} method
 * @property {Record<string, any>} params
 * @property {string | undefined} lane requests of one lane are asked one after the other
 * @property {boolean} isSent on the present connection
 * @property {boolean} onlineOnly
 * @property {number} notBefore by `performance.now()`
 * @property {(result: any) => void} resolve
 * @property {(error: JonoError) => void} reject
 */

/**
 * How far a conversation has been told.
 * @typedef {object} Track
 * @property {number} seq number of the last event that was told
 * @property {boolean} isFilling a gap is being read
 * @property {ConversationEvent[]} held came meanwhile
 */

/** A connection that heals, to one server, as one customer or agent. */
export class JonoClient {
    /** @type {Options} */ #options;
    /** @type {WebSocket | undefined} */ #socket;
    /** @type {State} */ #state = "idle";
    /** @type {Map<string, Set<(value: any) => void>>} */ #listeners = new Map();
    /** In the order in which they were asked. @type {Map<number, Asked>} */ #outbox = new Map();
    /** @type {Map<string, Track>} */ #tracks = new Map();
    #nextId = 1;
    #attempt = 0;
    #clockAheadMs = 0;
    #frameBytesMax = 65_536;
    /** @type {string | undefined} */ #log;
    /** @type {string | undefined} */ #me;
    /** @type {string | undefined} */ #resumeInMemory;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ #retryTimer;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ #watchTimer;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ #pumpTimer;
    /** The answer to `session.open` or `ping` is awaited under these ids. */
    #openId = 0;
    #pingId = 0;
    #resumeWasGiven = false;
    #wakeUp = () => this.#hurry();

    /** @param {Options} options */
    constructor(options) {
        this.#options = options;
    }

    /** @returns {State} */
    get state() {
        return this.#state;
    }

    /** Requests that wait for an answer. */
    get waiting() {
        return this.#outbox.size;
    }

    /** The server's time, as far as is known, ms since 1970. Deadlines are told in it. */
    now() {
        return Date.now() + this.#clockAheadMs;
    }

    /**
     * Calls `listener` for every `name`; the answer takes it away again.
     * @template {keyof Events} Name
     * @param {Name} name
     * @param {(value: Events[Name]) => void} listener
     * @returns {() => void}
     */
    on(name, listener) {
        const listeners = this.#listeners.get(name) ?? new Set();
        this.#listeners.set(name, listeners.add(listener));
        return () => void listeners.delete(listener);
    }

    /** Connects and stays connected, until `close` or a refusal. Hurries an attempt that waits. */
    connect() {
        if (this.#state === "online" || this.#state === "connecting") return;
        clearTimeout(this.#retryTimer);
        // Not every place has a page around it.
        globalThis.addEventListener?.("online", this.#wakeUp);
        globalThis.document?.addEventListener("visibilitychange", this.#wakeUp);
        this.#dial();
    }

    /**
     * Ends the connection for good. What waits for an answer fails with `closed`.
     * `connect` can be called again.
     */
    close() {
        globalThis.removeEventListener?.("online", this.#wakeUp);
        globalThis.document?.removeEventListener("visibilitychange", this.#wakeUp);
        clearTimeout(this.#retryTimer);
        clearTimeout(this.#pumpTimer);
        if (this.#state === "online") this.signal("session.close", {});
        this.#drop(CLOSE_DONE);
        for (const asked of [...this.#outbox.values()]) this.#settle(asked, undefined, new JonoError("closed"));
        this.#become({ state: "idle" });
    }

    /** Opens a new session now, with fresh parameters; what waits is kept. */
    reopen() {
        clearTimeout(this.#retryTimer);
        this.#drop(CLOSE_DONE);
        this.#state = "idle";
        this.#attempt = 0;
        this.connect();
    }

    /**
     * Asks. Waits while there is no connection, and asks again when an answer was lost or the server is
     * busy; so it fails only with what the server refused, `offline` (if `onlineOnly`), or `closed`.
     * @template {keyof Methods} Name
     * @param {Name} method
     * @param {Methods[Name]["params"]} [params]
     * @param {RequestOptions} [options]
     * @returns {Promise<Methods[Name]["result"]>}
     */
    request(method, params, options = {}) {
        const onlineOnly = options.onlineOnly ?? false;
        if (onlineOnly && this.#state !== "online") return Promise.reject(new JonoError("offline"));
        if (this.#outbox.size >= OUTBOX_MAX) return Promise.reject(new JonoError("busy", "too many requests wait"));
        /** @type {Record<string, any>} */
        const given = { ...params };
        const isMutating = MUTATING.has(method);
        if (isMutating) given.key ??= randomKey();
        const lane = isMutating ? given.conversation : undefined;
        const id = this.#nextId++;
        return new Promise((resolve, reject) => {
            const asked = { id, method, params: given, lane, isSent: false, onlineOnly, notBefore: 0, resolve, reject };
            this.#outbox.set(id, asked);
            this.#tell("outbox", this.#outbox.size);
            this.#pump();
        });
    }

    /**
     * Says without waiting for an answer, and not at all while there is no connection: for what is soon
     * outdated, such as typing.
     * @template {keyof Methods} Name
     * @param {Name} method
     * @param {Methods[Name]["params"]} params
     */
    signal(method, params) {
        if (this.#state === "online") this.#send({ jsonrpc: "2.0", method, params });
    }

    /**
     * The conversation is told from after `seq`, at the next session: for one that is known from earlier,
     * and may have ended meanwhile.
     * @param {string} conversation
     * @param {number} seq
     */
    track(conversation, seq) {
        this.#tracks.set(conversation, { seq, isFilling: false, held: [] });
    }

    /**
     * The conversation is none of this client's any more. Tell the server with `conversation.unfollow`.
     * @param {string} conversation
     */
    forget(conversation) {
        this.#tracks.delete(conversation);
    }

    // ---- the connection

    #dial() {
        this.#become({ state: "connecting" });
        const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
        const socket = new Socket(this.#options.url, "jono.v1");
        this.#socket = socket;
        this.#watchTimer = setTimeout(() => this.#lost(0), OPEN_WITHIN_MS);
        socket.onopen = () => this.#openSession();
        socket.onmessage = (message) => {
            if (socket === this.#socket) this.#receive(message.data);
        };
        // An error is always followed by a close.
        socket.onclose = (closed) => {
            if (socket === this.#socket) this.#lost(closed.code);
        };
    }

    #openSession() {
        const params = { ...this.#options.open() };
        const resume = params.role === "customer" ? this.#loadResume() : undefined;
        this.#resumeWasGiven = resume !== undefined;
        if (resume) params.resume = resume;
        const recent = [...this.#tracks].slice(-SINCE_MAX).map(([conversation, track]) => [conversation, track.seq]);
        if (recent.length > 0) {
            params.since = Object.fromEntries(recent);
            if (this.#log) params.log = this.#log;
        }
        this.#openId = this.#nextId++;
        this.#send({ jsonrpc: "2.0", id: this.#openId, method: "session.open", params });
    }

    /** @param {SessionOpened} result */
    #opened(result) {
        this.#attempt = 0;
        this.#clockAheadMs = result.now - Date.now();
        this.#frameBytesMax = result.limits.frame_bytes;
        const isOtherLog = this.#log !== undefined && this.#log !== result.log;
        const isOtherMe = this.#me !== undefined && this.#me !== result.me.id;
        this.#log = result.log;
        this.#me = result.me.id;
        if (isOtherLog || isOtherMe) {
            this.#tracks.clear();
            this.#tell("reset", { reason: isOtherLog ? "log" : "customer" });
        }
        if (result.resume) this.#saveResume(result.resume);
        this.#watch();
        this.#become({ state: "online" });
        this.#tell("opened", result);
        // The numbers that were asked for mean nothing in another log: everything must be read.
        for (const conversation of result.conversations) this.#follow(conversation, isOtherLog ? 0 : undefined);
        this.#pump();
    }

    /** @param {number} code */
    #lost(code) {
        this.#drop();
        if (code === CLOSE_UNAUTHORIZED && this.#resumeWasGiven) return this.#startOver();
        if (code === CLOSE_UNAUTHORIZED) return this.#refuse("unauthorized");
        if (code === CLOSE_SUPERSEDED) return this.#refuse("superseded");
        const isGoing = code === CLOSE_GOING || code === CLOSE_RESTART || code === CLOSE_RIGHTS_CHANGED;
        const isFirst = this.#attempt === 0;
        const grown = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#attempt);
        this.#attempt += 1;
        this.#retryIn(isGoing && isFirst ? BACKOFF_GOING_MS : grown, code === CLOSE_RATE ? BACKOFF_RATE_MS : 0);
    }

    /** The token that brought the customer back is of no worth any more: they are a new one. */
    #startOver() {
        this.#saveResume(undefined);
        this.#retryIn(BACKOFF_FIRST_MS, 0);
    }

    /**
     * Tries again after a random time, so that a crowd does not come at once.
     * @param {number} spreadMs
     * @param {number} leastMs
     */
    #retryIn(spreadMs, leastMs) {
        const delayMs = leastMs + spreadMs * (0.2 + 0.8 * Math.random());
        clearTimeout(this.#retryTimer);
        this.#retryTimer = setTimeout(() => this.#dial(), delayMs);
        this.#become({ state: "waiting", retryAt: Date.now() + delayMs });
    }

    /** @param {string} reason */
    #refuse(reason) {
        this.#drop(CLOSE_DONE);
        this.#become({ state: "refused", reason });
    }

    /**
     * Lets go of the socket; whatever it still says is not heard.
     * @param {number} [code]
     */
    #drop(code) {
        clearTimeout(this.#watchTimer);
        const socket = this.#socket;
        this.#socket = undefined;
        socket?.close(code);
        for (const asked of [...this.#outbox.values()]) {
            asked.isSent = false;
            if (asked.onlineOnly) this.#settle(asked, undefined, new JonoError("offline"));
        }
    }

    /** Asks a silent server whether it is there. */
    #watch() {
        clearTimeout(this.#watchTimer);
        this.#watchTimer = setTimeout(() => this.#ask(), SILENT_MS);
    }

    #ask() {
        clearTimeout(this.#watchTimer);
        this.#pingId = this.#nextId++;
        this.#send({ jsonrpc: "2.0", id: this.#pingId, method: "ping" });
        this.#watchTimer = setTimeout(() => this.#lost(0), DEAD_AFTER_MS);
    }

    /** The page is seen again, or the network is back: no time for timers. */
    #hurry() {
        if (globalThis.document?.visibilityState === "hidden") return;
        if (this.#state === "online") this.#ask();
        else if (this.#state === "waiting") this.connect();
    }

    // ---- what comes in

    /** @param {string} text */
    #receive(text) {
        if (this.#state === "online") this.#watch();
        const said = JSON.parse(text);
        if (said.method !== undefined) this.#notified(said.method, said.params ?? {});
        else if (said.id === this.#openId) this.#openAnswered(said);
        else if (said.id !== this.#pingId) this.#answered(said);
    }

    /** @param {{ result?: SessionOpened, error?: any }} answer */
    #openAnswered(answer) {
        if (answer.result) return this.#opened(answer.result);
        const error = JonoError.from(answer.error);
        const retryMs = error.data.retry_after_ms;
        if (retryMs !== undefined) {
            this.#drop(CLOSE_DONE);
            this.#retryIn(BACKOFF_FIRST_MS, retryMs);
        } else if (error.reason === "unauthorized" && this.#resumeWasGiven) {
            this.#drop(CLOSE_DONE);
            this.#startOver();
        } else {
            this.#refuse(error.reason);
        }
    }

    /** @param {{ id?: number, result?: any, error?: any }} answer */
    #answered(answer) {
        const asked = this.#outbox.get(answer.id ?? 0);
        if (!asked) return;
        if (answer.error) {
            const error = JonoError.from(answer.error);
            const retryMs = error.data.retry_after_ms;
            if (retryMs === undefined) return this.#settle(asked, undefined, error);
            // Nothing was done, or nobody knows: the same again, under the same key.
            asked.isSent = false;
            asked.notBefore = performance.now() + retryMs * (1 + Math.random() / 2);
            return this.#pump();
        }
        if (asked.method === "conversation.follow") this.#follow(answer.result, asked.params.after ?? 0);
        if (asked.method === "conversation.unfollow") this.forget(asked.params.conversation);
        this.#settle(asked, answer.result, undefined);
    }

    /**
     * @param {Asked} asked
     * @param {any} result
     * @param {JonoError | undefined} error
     */
    #settle(asked, result, error) {
        this.#outbox.delete(asked.id);
        if (error) asked.reject(error);
        else asked.resolve(result);
        this.#tell("outbox", this.#outbox.size);
        this.#pump();
    }

    /**
     * @param {string} method
     * @param {any} params
     */
    #notified(method, params) {
        if (method === "conversation.event") this.#happened(params);
        if (method === "conversation.unfollowed") this.forget(params.conversation);
        if (method === "conversation.updated") {
            // Rows come together; whoever listens wants them one by one.
            for (const row of params.conversations) this.#tell("conversation.updated", row);
            return;
        }
        this.#tell(/** @type {keyof Events} */ (method), params);
        if (method === "conversation.followed") this.#follow(params);
    }

    // ---- events: once, in order, without gaps

    /**
     * @param {Conversation} conversation
     * @param {number} [after] the last event that the asker has; without it, whatever comes is the beginning
     */
    #follow(conversation, after) {
        const from = conversation.from_seq ?? 0;
        const track = this.#tracks.get(conversation.id) ?? { seq: after ?? from, isFilling: false, held: [] };
        // The last ones are told last, so that `since` names those that matter.
        this.#tracks.delete(conversation.id);
        this.#tracks.set(conversation.id, track);
        this.#tell("conversation", conversation);
        if (from > track.seq && conversation.head > track.seq) this.#fill(conversation.id, track);
    }

    /** @param {ConversationEvent} event */
    #happened(event) {
        let track = this.#tracks.get(event.conversation);
        if (!track) this.#tracks.set(event.conversation, (track = { seq: event.prev, isFilling: false, held: [] }));
        if (event.seq <= track.seq) return;
        if (!track.isFilling && event.prev <= track.seq) return this.#pass(track, event);
        track.held.push(event);
        this.#fill(event.conversation, track);
    }

    /**
     * @param {Track} track
     * @param {ConversationEvent} event
     */
    #pass(track, event) {
        if (event.seq <= track.seq) return;
        track.seq = event.seq;
        this.#tell("event", event);
    }

    /**
     * Reads what is missing, then tells what came meanwhile.
     * @param {string} conversation
     * @param {Track} track
     */
    async #fill(conversation, track) {
        if (track.isFilling) return;
        track.isFilling = true;
        try {
            for (let more = true; more; ) {
                const page = await this.request("conversation.history", { conversation, after: track.seq, limit: HISTORY_PAGE });
                for (const event of page.events) this.#pass(track, event);
                more = page.more && page.events.length > 0;
            }
        } catch {
            // It may not be seen any more, or the client was closed: nothing is missing then.
        }
        track.isFilling = false;
        for (const event of track.held.splice(0).sort((a, b) => a.seq - b.seq)) this.#pass(track, event);
    }

    // ---- what goes out

    /** Sends what may be sent now. */
    #pump() {
        clearTimeout(this.#pumpTimer);
        if (this.#state !== "online") return;
        const now = performance.now();
        let soonest = Infinity;
        let inFlight = 0;
        /** @type {Set<string>} */
        const busyLanes = new Set();
        for (const asked of [...this.#outbox.values()]) {
            if (inFlight >= IN_FLIGHT_MAX) break;
            const { lane } = asked;
            if (lane && busyLanes.has(lane)) continue;
            if (lane) busyLanes.add(lane);
            if (!asked.isSent && asked.notBefore > now) {
                soonest = Math.min(soonest, asked.notBefore);
                continue;
            }
            if (!asked.isSent && !this.#sendAsked(asked)) continue;
            inFlight += 1;
        }
        if (soonest < Infinity) this.#pumpTimer = setTimeout(() => this.#pump(), soonest - now);
    }

    /**
     * @param {Asked} asked
     * @returns {boolean} whether it was small enough
     */
    #sendAsked(asked) {
        const text = JSON.stringify({ jsonrpc: "2.0", id: asked.id, method: asked.method, params: asked.params });
        // A frame that is too large would end the connection, again and again.
        if (new TextEncoder().encode(text).length > this.#frameBytesMax) {
            queueMicrotask(() => this.#settle(asked, undefined, new JonoError("too_large", "too large", { max: this.#frameBytesMax })));
            return false;
        }
        asked.isSent = true;
        this.#socket?.send(text);
        return true;
    }

    /** @param {object} message */
    #send(message) {
        if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
    }

    // ---- small things

    #loadResume() {
        return (this.#options.resume ? this.#options.resume.load() : this.#resumeInMemory) || undefined;
    }

    /** @param {string | undefined} token */
    #saveResume(token) {
        this.#resumeInMemory = token;
        this.#options.resume?.save(token);
    }

    /** @param {StateChange} change */
    #become(change) {
        this.#state = change.state;
        this.#tell("state", change);
    }

    /**
     * A listener that throws must not take the others with it.
     * @template {keyof Events} Name
     * @param {Name} name
     * @param {Events[Name]} value
     */
    #tell(name, value) {
        for (const listener of [...(this.#listeners.get(name) ?? [])]) {
            try {
                listener(value);
            } catch (error) {
                console.error(error);
            }
        }
    }
}

/** 128 random bits. `crypto.randomUUID` is not there on plain HTTP. */
export function randomKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
