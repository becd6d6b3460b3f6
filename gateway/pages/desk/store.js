/**
 * What the desk knows of the world: a plain state, changed by what the server says and by nothing else.
 *
 * Knows no DOM, no socket and no clock: the time comes in as `now`. Every change can be replayed in a test.
 * Rows own what lists show (holder, deadlines, unread); talks own what was said.
 *
 * @module
 * @typedef {import("../protocol").By} By
 * @typedef {import("../protocol").Canned} Canned
 * @typedef {import("../protocol").Colleague} Colleague
 * @typedef {import("../protocol").Conversation} Conversation
 * @typedef {import("../protocol").ConversationEvent} Event
 * @typedef {import("../protocol").Mark} Mark
 * @typedef {import("../protocol").Me} Me
 * @typedef {import("../protocol").Metadata} Metadata
 * @typedef {import("../protocol").Queue} Queue
 * @typedef {import("../protocol").Row} Row
 * @typedef {import("../protocol").SessionOpened} Opened
 * @typedef {import("../protocol").Status} Status
 * @typedef {import("../protocol").Tag} Tag
 */

/** Ended conversations that the list keeps; more are read again from the server when somebody scrolls. */
export const CLOSED_MAX = 500;
/** Conversations whose texts are kept though nobody follows them. */
export const TALKS_KEPT_MAX = 40;
/** Without news for this long, somebody does not type any more. */
export const TYPING_MS = 8_000;

/**
 * @typedef {object} Pending A message or note that the server has not confirmed.
 * @property {string} key
 * @property {'message' | 'note'} type
 * @property {string} text
 * @property {number} at
 * @property {number} [seq] The event that it has become.
 * @property {string} [error] Why it was not taken, as a key of a text.
 *
 * @typedef {object} Talk What was said in a conversation.
 * @property {string} id
 * @property {boolean} followed
 * @property {number} from Events up to this one are not here.
 * @property {number} head The last event that the fields below know of.
 * @property {Event[]} events In order.
 * @property {Map<string, Mark>} marks
 * @property {Metadata} metadata
 * @property {Map<string, number>} changed When each entry of metadata changed while somebody looked.
 * @property {Map<string, {by: By, preview?: string, at: number}>} typing
 * @property {{until?: number} | null} blocked
 * @property {number | null} rating
 * @property {Pending[]} pending
 *
 * @typedef {object} State
 * @property {string} log
 * @property {Me | null} me
 * @property {{id: string, name: string} | null} organisation
 * @property {Tag[]} tags
 * @property {Canned[]} canned
 * @property {Map<string, Colleague>} agents
 * @property {Map<string, Queue>} queues
 * @property {Map<string, Row>} rows
 * @property {Map<string, number>} fresh In which session each row was last told.
 * @property {Map<string, Talk>} talks
 * @property {string[]} closed Ended conversations, newest first.
 * @property {number} session Counts sessions.
 * @property {number} clock Server's time minus ours, ms.
 * @property {number} messageBytes
 */

/** @returns {State} */
export function create() {
    return {
        log: "",
        me: null,
        organisation: null,
        tags: [],
        canned: [],
        agents: new Map(),
        queues: new Map(),
        rows: new Map(),
        fresh: new Map(),
        talks: new Map(),
        closed: [],
        session: 0,
        clock: 0,
        messageBytes: 16 * 1024,
    };
}

/**
 * A session is open: what it says replaces what was known, texts that were read before stay.
 *
 * @param {State} state
 * @param {Opened} opened
 * @param {number} now Our time.
 */
export function opened(state, opened, now) {
    if (state.log && state.log !== opened.log) {
        state.talks.clear();
        state.rows.clear();
        state.closed = [];
    }
    state.log = opened.log;
    state.session += 1;
    state.clock = opened.now - now;
    state.me = opened.me;
    state.organisation = { id: opened.organisation.id, name: opened.organisation.name };
    state.tags = opened.organisation.tags ?? [];
    state.canned = opened.me.canned ?? [];
    state.messageBytes = opened.limits?.message_bytes ?? state.messageBytes;
    state.agents = new Map((opened.organisation.agents ?? []).map((agent) => [agent.id, agent]));
    state.queues = new Map(opened.queues.map((queue) => [queue.id, queue]));
    for (const talk of state.talks.values()) {
        talk.followed = false;
        talk.typing.clear();
    }
    for (const conversation of opened.conversations) followed(state, conversation);
}

/**
 * A notification came, or the client told `event` or `conversation`.
 *
 * @param {State} state
 * @param {string} method
 * @param {any} params
 * @param {number} now Our time.
 */
export function notified(state, method, params, now) {
    switch (method) {
        case "event":
            return event(state, params, now);
        case "conversation":
            return followed(state, params);
        case "conversation.unfollowed":
            // It may not be seen any more.
            unfollowed(state, params.conversation);
            return forget(state, params.conversation);
        case "conversation.updated":
            return row(state, params);
        case "conversation.deadline":
            return deadline(state, params);
        case "queue.updated":
            state.queues.set(params.id, params);
            return;
        case "typing.changed":
            return typing(state, params, now);
        case "receipt.changed":
            return receipt(state, params);
        case "agent.presence":
            return presence(state, params);
        case "canned.changed":
            if (params.canned) {
                const shared = state.canned.filter((canned) => canned.scope === "shared");
                state.canned = [...params.canned, ...shared];
            }
            return;
        default:
            // Newer servers say more: what is not known is not needed.
            return;
    }
}

/**
 * A page of a list was read. The last page of `open` tells which rows are gone.
 *
 * @param {State} state
 * @param {'open' | 'closed'} view
 * @param {Row[]} rows
 * @param {{first: boolean, last: boolean}} page
 */
export function listed(state, view, rows, page) {
    if (view === "closed" && page.first) state.closed = [];
    for (const one of rows) {
        row(state, one, false);
        if (view === "closed" && !state.closed.includes(one.id)) state.closed.push(one.id);
    }
    if (view === "open" && page.last) {
        for (const [id, one] of state.rows) {
            if (one.state !== "closed" && state.fresh.get(id) !== state.session) forget(state, id);
        }
    }
}

/**
 * A part of a log was read.
 *
 * @param {State} state
 * @param {string} conversation
 * @param {Event[]} events
 * @param {number} from Events up to this one are still not here.
 */
export function history(state, conversation, events, from) {
    const talk = state.talks.get(conversation);
    if (!talk) return;
    for (const one of events) insert(talk, one);
    talk.from = Math.min(talk.from, from);
}

/**
 * A conversation is followed from here on.
 *
 * @param {State} state
 * @param {Conversation} conversation
 */
export function followed(state, conversation) {
    const talk = known(state, conversation);
    talk.followed = true;
    const from = conversation.from_seq ?? conversation.head;
    const last = talk.events.at(-1)?.seq ?? 0;
    if (talk.events.length === 0) {
        talk.from = from;
    } else if (from > last) {
        // Something between is missing: what is behind the hole is read again when somebody scrolls up.
        talk.events = [];
        talk.from = from;
    }
}

/**
 * A full view was read.
 *
 * @param {State} state
 * @param {Conversation} conversation
 * @returns {Talk}
 */
export function known(state, conversation) {
    const { metadata, marks, rating, blocked, from_seq: _from, ...rest } = conversation;
    row(state, /** @type {Row} */ (rest));
    let talk = state.talks.get(conversation.id);
    if (!talk) {
        talk = {
            id: conversation.id,
            followed: false,
            from: conversation.head,
            head: 0,
            events: [],
            marks: new Map(),
            metadata: {},
            changed: new Map(),
            typing: new Map(),
            blocked: null,
            rating: null,
            pending: [],
        };
        state.talks.set(conversation.id, talk);
        evict(state, conversation.id);
    }
    if (conversation.head >= talk.head) {
        talk.head = conversation.head;
        talk.metadata = { ...metadata };
        talk.marks = new Map((marks ?? []).map((mark) => [who(mark.by), mark]));
        talk.rating = rating ?? null;
        talk.blocked = blocked ?? null;
    }
    return talk;
}

/**
 * Nobody follows it any more; its texts may stay.
 *
 * @param {State} state
 * @param {string} conversation
 */
export function unfollowed(state, conversation) {
    const talk = state.talks.get(conversation);
    if (!talk) return;
    talk.followed = false;
    talk.typing.clear();
}

/**
 * @param {State} state
 * @param {Row} next
 * @param {boolean} [live] It has just changed, so an ended one is the newest.
 */
function row(state, next, live = true) {
    const before = state.rows.get(next.id);
    // The row was made before something that we have seen already; a newer one is on its way.
    if (before && before.head > next.head) {
        state.fresh.set(next.id, state.session);
        return;
    }
    const mine = next.holder !== undefined && next.holder.id === state.me?.id;
    if (!state.queues.has(next.queue) && !mine && !state.talks.has(next.id)) {
        forget(state, next.id);
        return;
    }
    state.rows.set(next.id, next);
    state.fresh.set(next.id, state.session);
    if (live && next.state === "closed") ended(state, next.id);
    if (next.state === "closed") state.talks.get(next.id)?.typing.clear();
}

/**
 * @param {State} state
 * @param {string} id
 */
function ended(state, id) {
    if (state.closed.includes(id)) return;
    state.closed.unshift(id);
    for (const old of state.closed.splice(CLOSED_MAX)) forget(state, old);
}

/**
 * @param {State} state
 * @param {string} id
 */
function forget(state, id) {
    state.closed = state.closed.filter((other) => other !== id);
    state.fresh.delete(id);
    if (!state.talks.get(id)?.followed) {
        state.rows.delete(id);
        state.talks.delete(id);
    }
}

/**
 * @param {State} state
 * @param {string} newest
 */
function evict(state, newest) {
    const idle = [...state.talks.values()].filter((talk) => !talk.followed && talk.id !== newest && !talk.pending.length);
    for (const talk of idle.slice(0, Math.max(0, idle.length - TALKS_KEPT_MAX))) state.talks.delete(talk.id);
}

/**
 * @param {State} state
 * @param {Event} one
 * @param {number} now
 */
function event(state, one, now) {
    const talk = state.talks.get(one.conversation);
    if (!talk) return;
    const isNew = insert(talk, one);
    if (!isNew) return;
    settle(state, talk, one);
    if (one.type === "message") talk.typing.delete(who(one.by));
    const before = state.rows.get(one.conversation);
    if (before && one.seq > before.head) state.rows.set(one.conversation, after(before, one));
    if (one.type === "closed" && state.rows.get(one.conversation)?.state === "closed") ended(state, one.conversation);
    if (one.seq > talk.head) {
        talk.head = one.seq;
        told(talk, one, now);
    }
}

/**
 * The row as it is after an event; the server's own follows.
 *
 * @param {Row} before
 * @param {Event} one
 * @returns {Row}
 */
function after(before, one) {
    const next = { ...before, head: one.seq, release_at: one.release_at, close_at: one.close_at };
    switch (one.type) {
        case "message":
            next.preview = [...String(one.body.text).replaceAll(/\s+/g, " ")].slice(0, 120).join("");
            next.last_message_at = one.at;
            if (one.by.kind === "customer") next.unread = Math.min(100, before.unread + 1);
            return next;
        case "claimed":
            return { ...next, state: "active", holder: one.body.agent, claim: one.body.claim };
        case "assigned":
            return { ...next, state: "active", holder: one.body.to, claim: one.body.claim };
        case "released":
            return { ...next, state: "waiting", holder: undefined };
        case "transferred":
            return { ...next, state: "waiting", holder: undefined, queue: one.body.to };
        case "closed":
            return { ...next, state: "closed", holder: undefined, release_at: undefined, close_at: undefined };
        case "tagged":
            return { ...next, tags: before.tags.includes(one.body.tag) ? before.tags : [...before.tags, one.body.tag].sort() };
        case "untagged":
            return { ...next, tags: before.tags.filter((tag) => tag !== one.body.tag) };
        case "prioritised":
            return { ...next, priority: one.body.priority };
        default:
            return next;
    }
}

/**
 * @param {Talk} talk
 * @param {Event} one
 * @param {number} now
 */
function told(talk, one, now) {
    switch (one.type) {
        case "metadata":
            for (const [key, value] of Object.entries(one.body.changes)) {
                if (value === null) delete talk.metadata[key];
                else talk.metadata[key] = value;
                talk.changed.set(key, now);
            }
            return;
        case "blocked":
            talk.blocked = one.body.until === undefined ? {} : { until: one.body.until };
            return;
        case "unblocked":
            talk.blocked = null;
            return;
        case "rated":
            talk.rating = one.body.rating;
            return;
        default:
            return;
    }
}

/**
 * @param {Talk} talk
 * @param {Event} one
 * @returns {boolean} It was not there.
 */
function insert(talk, one) {
    const events = talk.events;
    let at = events.length;
    while (at > 0 && /** @type {Event} */ (events[at - 1]).seq > one.seq) at -= 1;
    if (at > 0 && events[at - 1]?.seq === one.seq) return false;
    events.splice(at, 0, one);
    return true;
}

/**
 * @param {State} state
 * @param {{conversation: string, release_at?: number, close_at?: number}} params
 */
function deadline(state, params) {
    const before = state.rows.get(params.conversation);
    if (!before) return;
    state.rows.set(params.conversation, { ...before, release_at: params.release_at, close_at: params.close_at });
}

/**
 * @param {State} state
 * @param {{conversation: string, by: By, typing: boolean, preview?: string}} params
 * @param {number} now
 */
function typing(state, params, now) {
    const talk = state.talks.get(params.conversation);
    if (!talk || isMe(state, params.by)) return;
    if (params.typing) talk.typing.set(who(params.by), { by: params.by, preview: params.preview, at: now });
    else talk.typing.delete(who(params.by));
}

/**
 * Forgets who has not typed for a while.
 *
 * @param {State} state
 * @param {number} now
 * @returns {boolean} Somebody was forgotten.
 */
export function quiet(state, now) {
    let changed = false;
    for (const talk of state.talks.values()) {
        for (const [key, typed] of talk.typing) {
            if (now - typed.at > TYPING_MS) changed = talk.typing.delete(key) || changed;
        }
    }
    return changed;
}

/**
 * @param {State} state
 * @param {{conversation: string, by: By, seq: number}} params
 */
function receipt(state, params) {
    const talk = state.talks.get(params.conversation);
    if (!talk) return;
    const before = talk.marks.get(who(params.by));
    if (!before || before.seq < params.seq) talk.marks.set(who(params.by), { by: params.by, seq: params.seq });
}

/**
 * @param {State} state
 * @param {{agent: string, status: Status, connected: boolean, since: number}} params
 */
function presence(state, params) {
    const before = state.agents.get(params.agent);
    const { status, connected, since } = params;
    if (before) state.agents.set(params.agent, { ...before, status, connected, since });
    if (state.me?.id === params.agent) state.me = { ...state.me, status };
}

// What we have asked for

/**
 * A message or note is on its way.
 *
 * @param {State} state
 * @param {string} conversation
 * @param {Pending} pending
 */
export function sending(state, conversation, pending) {
    state.talks.get(conversation)?.pending.push(pending);
}

/**
 * It was taken: it stays until its event is here.
 *
 * @param {State} state
 * @param {string} conversation
 * @param {string} key
 * @param {number} seq
 */
export function sent(state, conversation, key, seq) {
    const talk = state.talks.get(conversation);
    if (!talk) return;
    const isHere = talk.events.some((one) => one.seq === seq);
    if (isHere) talk.pending = talk.pending.filter((pending) => pending.key !== key);
    else for (const pending of talk.pending) if (pending.key === key) pending.seq = seq;
}

/**
 * It was refused, and stays to be seen until somebody puts it away.
 *
 * @param {State} state
 * @param {string} conversation
 * @param {string} key
 * @param {string} error
 */
export function failed(state, conversation, key, error) {
    for (const pending of state.talks.get(conversation)?.pending ?? []) {
        if (pending.key === key) pending.error = error;
    }
}

/**
 * @param {State} state
 * @param {string} conversation
 * @param {string} key
 */
export function dropped(state, conversation, key) {
    const talk = state.talks.get(conversation);
    if (talk) talk.pending = talk.pending.filter((pending) => pending.key !== key);
}

/**
 * The event of something pending usually comes before the answer: it is recognised by its text, so that
 * nothing is ever seen twice.
 *
 * @param {State} state
 * @param {Talk} talk
 * @param {Event} one
 */
function settle(state, talk, one) {
    const bySeq = talk.pending.findIndex((pending) => pending.seq === one.seq);
    const isText = one.type === "message" || one.type === "note";
    const byText = () =>
        talk.pending.findIndex(
            (pending) =>
                !pending.error &&
                pending.seq === undefined &&
                isText &&
                pending.type === one.type &&
                pending.text === one.body.text,
        );
    const at = bySeq >= 0 ? bySeq : isText && isMe(state, one.by) ? byText() : -1;
    if (at >= 0) talk.pending.splice(at, 1);
}

// What the lists show

/**
 * @typedef {object} Lists
 * @property {Row[]} waiting *New*: oldest last message on top.
 * @property {Row[]} active *In progress*.
 * @property {Row[]} mine
 * @property {Row[]} closed Newest on top.
 */

/**
 * @param {State} state
 * @param {string | null} [queue] Only this one.
 * @returns {Lists}
 */
export function lists(state, queue = null) {
    /** @type {Lists} */
    const found = { waiting: [], active: [], mine: [], closed: [] };
    for (const one of state.rows.values()) {
        if (one.state === "active" && isMine(state, one)) found.mine.push(one);
        if (!state.queues.has(one.queue) || (queue && one.queue !== queue)) continue;
        if (one.state === "waiting") found.waiting.push(one);
        if (one.state === "active") found.active.push(one);
    }
    for (const id of state.closed) {
        const one = state.rows.get(id);
        if (one?.state === "closed" && (!queue || one.queue === queue)) found.closed.push(one);
    }
    /** @param {Row} a @param {Row} b */
    const oldest = (a, b) => a.last_message_at - b.last_message_at || (a.id < b.id ? -1 : 1);
    found.waiting.sort(oldest);
    found.active.sort(oldest);
    found.mine.sort(oldest);
    return found;
}

/**
 * @param {State} state
 * @returns {Queue[]} By name.
 */
export function queues(state) {
    return [...state.queues.values()].sort((a, b) => a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1));
}

/**
 * The queue whose first customer has waited longest.
 *
 * @param {State} state
 * @returns {Queue | undefined}
 */
export function longest(state) {
    const since = (/** @type {Queue} */ queue) => queue.longest_waiting_since ?? Number.MAX_SAFE_INTEGER;
    return queues(state)
        .filter((queue) => (queue.waiting ?? 0) > 0)
        .sort((a, b) => since(a) - since(b))[0];
}

/**
 * Messages that wait for this agent: in their own conversations, and of customers whom nobody serves.
 *
 * @param {State} state
 * @returns {number}
 */
export function unread(state) {
    const { mine, waiting } = lists(state);
    return [...mine, ...waiting].reduce((sum, one) => sum + one.unread, 0);
}

/**
 * @param {State} state
 * @param {Row} one
 */
export function isMine(state, one) {
    return one.holder !== undefined && one.holder.id === state.me?.id;
}

/**
 * @param {State} state
 * @param {By} by
 */
export function isMe(state, by) {
    return by.kind === "agent" && by.id === state.me?.id;
}

/**
 * @param {State} state
 * @param {By} by
 * @returns {'customer' | 'me' | 'agent' | 'bot' | 'system'}
 */
export function speaker(state, by) {
    if (by.kind !== "agent") return by.kind;
    if (by.id === state.me?.id) return "me";
    return state.agents.get(by.id)?.kind === "bot" ? "bot" : "agent";
}

/**
 * The last event that the customer has read.
 *
 * @param {Talk} talk
 */
export function readByCustomer(talk) {
    let seq = 0;
    for (const mark of talk.marks.values()) if (mark.by.kind === "customer") seq = Math.max(seq, mark.seq);
    return seq;
}

/**
 * Per conversation the last event that is here: what a session that comes back asks from.
 *
 * @param {State} state
 * @returns {{[conversation: string]: number}}
 */
export function since(state) {
    /** @type {{[conversation: string]: number}} */
    const all = {};
    for (const talk of state.talks.values()) if (talk.followed) all[talk.id] = talk.events.at(-1)?.seq ?? talk.from;
    return all;
}

/** @param {By} by */
function who(by) {
    return by.kind === "system" ? "system" : `${by.kind} ${by.id}`;
}
