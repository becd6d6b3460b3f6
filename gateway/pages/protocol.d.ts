// The wire protocol's types, for the checks of these pages; the server's own documents are the truth.
// Only types: nothing of this is served.

export type AgentName = { id: string; name: string };
export type Status = "online" | "away" | "offline";
export type MetadataChanges = Record<string, string | number | boolean | null | Record<string, string | number | boolean | null>>;
export type Metadata = Record<string, string | Record<string, string>>;
export type BlockedUntil = { until?: number };
export type By =
    | { kind: "customer"; id: string; name?: string }
    | { kind: "agent"; id: string; name: string }
    | { kind: "system" };

export type SessionOpen = {
    role: "customer" | "agent";
    site?: string;
    resume?: string;
    token?: string;
    name?: string;
    locale?: string;
    page?: MetadataChanges;
    metadata?: MetadataChanges;
    since?: Record<string, number>;
    log?: string;
};

export type Queue = {
    id: string;
    name: string;
    open: boolean;
    /** Agents only, as the rest. */
    waiting?: number;
    active?: number;
    unread?: number;
    longest_waiting_since?: number;
};

export type Mark = { by: By; seq: number };

/** Members that only agents see are optional here. */
export type Conversation = {
    id: string;
    queue: string;
    state: "waiting" | "active" | "closed";
    started_at: number;
    holder?: AgentName;
    release_at?: number;
    close_at?: number;
    head: number;
    position?: number;
    wait_ms?: number;
    marks?: Mark[];
    rating?: number;
    blocked?: BlockedUntil;
    from_seq?: number;
    customer?: { id: string; name?: string; connected: boolean };
    preview?: string;
    last_message_at?: number;
    unread?: number;
    waiting_since?: number;
    priority?: number;
    claim?: number;
    tags?: string[];
    metadata?: Metadata;
};

/** A row as agents get it. */
export type Row = Conversation &
    Required<Pick<Conversation, "customer" | "preview" | "last_message_at" | "unread" | "waiting_since" | "priority" | "claim" | "tags">>;

type EventBase = {
    conversation: string;
    seq: number;
    prev: number;
    at: number;
    by: By;
    release_at?: number;
    close_at?: number;
};

export type EventBodies = {
    started: { customer: string; name?: string; metadata?: Metadata; priority: number };
    queued: { queue: string; position?: number; wait_ms?: number };
    claimed: { agent: AgentName; claim: number };
    released: { agent: AgentName; cause: "manual" | "inactive" };
    assigned: { claim: number; from?: AgentName; to: AgentName };
    transferred: { from: string; to: string };
    message: { text: string; cut?: boolean };
    note: { text: string; cut?: boolean };
    tagged: { tag: string };
    untagged: { tag: string };
    prioritised: { priority: number };
    metadata: { changes: Record<string, string | Record<string, string> | null> };
    blocked: BlockedUntil;
    unblocked: {};
    closed: { cause: "agent" | "customer" | "inactive" };
    rated: { rating: number; comment?: string };
};

export type ConversationEvent = { [Type in keyof EventBodies]: EventBase & { type: Type; body: EventBodies[Type] } }[keyof EventBodies];

export type Canned = { keyword: string; text: string; scope: "personal" | "shared" };
export type Tag = { tag: string; group?: string; colour?: string };
export type Cause = "chosen" | "connected" | "disconnected" | "timed_out";
export type Colleague = {
    id: string;
    name: string;
    kind: "person" | "bot";
    status: Status;
    connected: boolean;
    since: number;
    cause?: Cause;
};

export type Me = {
    kind: "customer" | "agent";
    id: string;
    name?: string;
    /** Customers. */
    blocked?: BlockedUntil;
    /** Agents, as the rest. */
    account?: "person" | "bot";
    role?: "agent" | "operator";
    status?: Status;
    canned?: Canned[];
};

export type SessionOpened = {
    session: string;
    resume?: string;
    resumed: boolean;
    log: string;
    me: Me;
    organisation: { id: string; name: string; tags?: Tag[]; agents?: Colleague[] };
    queues: Queue[];
    conversations: Conversation[];
    ended?: string[];
    incomplete?: ("agents" | "canned" | "queues" | "tags" | "conversations")[];
    limits: { message_bytes: number; frame_bytes: number; batch: number; history: number; requests: number };
    now: number;
};

type Method<Params, Result> = { params: Params; result: Result };
type Written = { seq?: number; at?: number };
type Claimed = { conversation: string; claim: number; release_at?: number };
type Nothing = Record<string, never>;
type In = { conversation: string };
type Keyed = { key?: string };
type UnderClaim = In & Keyed & { claim?: number };

export type Methods = {
    ping: Method<Nothing, { now: number }>;
    "session.close": Method<Nothing, {}>;
    "conversation.start": Method<
        Keyed & { queue: string; message?: string; name?: string; metadata?: MetadataChanges },
        { conversation: string; state: Conversation["state"]; position?: number; wait_ms?: number }
    >;
    "message.send": Method<UnderClaim & { text: string }, Written>;
    "typing.set": Method<In & { typing: boolean; preview?: string }, {}>;
    "receipt.read": Method<In & { seq: number }, {}>;
    "conversation.get": Method<In, Conversation>;
    "conversation.history": Method<
        In & { after?: number; before?: number; limit?: number },
        { events: ConversationEvent[]; head: number; more: boolean }
    >;
    "conversation.follow": Method<In & { after?: number }, Conversation>;
    "conversation.unfollow": Method<In, {}>;
    "queue.pick": Method<Keyed & { queue: string }, Claimed>;
    "conversation.claim": Method<In & Keyed, Claimed>;
    "conversation.release": Method<UnderClaim, Written>;
    "conversation.touch": Method<UnderClaim, {}>;
    "conversation.assign": Method<UnderClaim & { agent: string }, Written>;
    "conversation.transfer": Method<UnderClaim & { queue?: string; agent?: string; note?: string }, Written>;
    "conversation.close": Method<UnderClaim, Written>;
    "conversation.leave": Method<In & Keyed, Written>;
    "conversation.rate": Method<In & Keyed & { rating: number; comment?: string }, Written>;
    "note.add": Method<In & Keyed & { text: string }, Written>;
    "tag.add": Method<In & Keyed & { tag: string }, Written>;
    "tag.remove": Method<In & Keyed & { tag: string }, Written>;
    "priority.set": Method<In & Keyed & { priority: number }, Written>;
    "metadata.update": Method<In & Keyed & { metadata: MetadataChanges }, Written>;
    "customer.block": Method<In & Keyed & { duration_ms?: number }, {}>;
    "customer.unblock": Method<In & Keyed, {}>;
    "conversation.list": Method<
        { view: "open" | "mine" | "closed"; queue?: string; cursor?: string; limit?: number },
        { conversations: Row[]; cursor?: string }
    >;
    "conversation.search": Method<
        { text: string; queue?: string; from?: number; to?: number; cursor?: string; limit?: number },
        { hits: { conversation: Row; event: ConversationEvent }[]; cut?: boolean; cursor?: string }
    >;
    "queue.list": Method<{ cursor?: string }, { queues: Queue[]; cursor?: string }>;
    "queue.subscribe": Method<{ queue: string }, Queue>;
    "queue.unsubscribe": Method<{ queue: string }, {}>;
    "queue.open": Method<Keyed & { queue: string }, {}>;
    "queue.close": Method<Keyed & { queue: string }, {}>;
    "presence.set": Method<Keyed & { status: Status }, {}>;
    "agent.list": Method<{ queue?: string; cursor?: string }, { agents: Colleague[]; cursor?: string }>;
    "canned.list": Method<{ cursor?: string }, { canned: Canned[]; cursor?: string }>;
    "canned.set": Method<Keyed & { keyword: string; text: string; scope?: Canned["scope"] }, {}>;
    "canned.remove": Method<Keyed & { keyword: string; scope?: Canned["scope"] }, {}>;
    "tag.list": Method<{ cursor?: string }, { tags: Tag[]; cursor?: string }>;
};

export type Notifications = {
    /** Prefer the client's `event`, which is without gaps and repetitions. */
    "conversation.event": ConversationEvent;
    /** Prefer the client's `conversation`, which comes for those of `session.open` as well. */
    "conversation.followed": Conversation;
    "conversation.unfollowed": { conversation: string };
    "conversation.position": { conversation: string; position: number; wait_ms?: number; reason?: "priority" | "returned" };
    "conversation.deadline": { conversation: string; release_at?: number; close_at?: number; warning?: "release" | "close" };
    "typing.changed": { conversation: string; by: By; typing: boolean; preview?: string };
    "receipt.changed": { conversation: string; by: By; seq: number };
    "conversation.updated": Row;
    "queue.updated": Queue;
    "queue.renewed": { queue: string };
    "notification.raised": { queue: string; conversation: string; preview: string };
    "agent.presence": { agent: string; status: Status; connected: boolean; since: number; cause: Cause };
    "customer.blocked": { blocked: boolean; until?: number };
    "canned.changed": { canned?: Canned[] };
    "organisation.changed": Nothing;
    "server.draining": Nothing;
};
