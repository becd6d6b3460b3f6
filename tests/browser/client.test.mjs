// The client by itself, against a server of the test's making: what an honest server seldom does.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, mock, test } from "node:test";

const source = readFileSync(new URL("../../gateway/pages/client.js", import.meta.url), "utf8");
const { JonoClient } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

/** @type {Fake[]} */
let sockets = [];

/** A socket whose other end is the test. */
class Fake {
    readyState = 0;
    sent = [];

    constructor(url) {
        this.url = url;
        sockets.push(this);
    }

    open() {
        this.readyState = 1;
        this.onopen();
    }

    send(text) {
        this.sent.push(JSON.parse(text));
    }

    close(code) {
        this.readyState = 3;
        this.closedWith = code;
    }

    // ---- the test's side

    say(message) {
        this.onmessage({ data: JSON.stringify({ jsonrpc: "2.0", ...message }) });
    }

    tell(method, params) {
        this.say({ method, params });
    }

    last(method) {
        return this.sent.findLast((it) => it.method === method);
    }

    answer(method, result) {
        this.say({ id: this.last(method).id, result });
    }

    refuse(method, code, data) {
        this.say({ id: this.last(method).id, error: { code, message: "no", data } });
    }

    end(code) {
        this.readyState = 3;
        this.onclose({ code });
    }
}

const OPENED = {
    session: "s",
    resume: "token-1",
    resumed: false,
    log: "log-1",
    me: { kind: "customer", id: "cus_1" },
    organisation: { id: "o", name: "O" },
    queues: [],
    conversations: [],
    limits: { message_bytes: 16_384, frame_bytes: 65_536, batch: 32, history: 500, requests: 64 },
    now: 0,
};

const event = (seq, prev, text = `text ${seq}`) => ({
    conversation: "conv_1",
    seq,
    prev,
    at: seq,
    by: { kind: "agent", id: "agt_1", name: "Anna" },
    type: "message",
    body: { text },
});

function make(options = {}) {
    const client = new JonoClient({ url: "ws://test", open: () => ({ role: "customer", site: "demo" }), WebSocket: Fake, ...options });
    const told = { events: [], states: [], resets: [] };
    client.on("event", (it) => told.events.push(it.seq));
    client.on("state", (it) => told.states.push(it.state));
    client.on("reset", (it) => told.resets.push(it.reason));
    return { client, told };
}

function connect(client, opened = {}) {
    client.connect();
    const socket = sockets.at(-1);
    socket.open();
    socket.answer("session.open", { ...OPENED, ...opened });
    return socket;
}

const conversation = (from_seq, head) => ({ id: "conv_1", queue: "q", state: "active", started_at: 0, head, from_seq, marks: [] });
const settled = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
    sockets = [];
    mock.timers.enable({ apis: ["setTimeout"] });
});
afterEach(() => mock.timers.reset());

test("events come once, in order; what is missing is read before what came meanwhile", async () => {
    const { client, told } = make();
    const socket = connect(client);
    socket.tell("conversation.followed", conversation(0, 2));
    for (const it of [event(1, 0), event(2, 1), event(2, 1), event(5, 4), event(7, 5)]) socket.tell("conversation.event", it);
    assert.deepEqual(told.events, [1, 2]);
    assert.deepEqual(socket.last("conversation.history").params, { conversation: "conv_1", after: 2, limit: 500 });
    socket.answer("conversation.history", { events: [event(3, 2)], head: 7, more: true });
    await settled();
    assert.equal(socket.last("conversation.history").params.after, 3);
    socket.answer("conversation.history", { events: [event(4, 3), event(5, 4)], head: 7, more: false });
    await settled();
    assert.deepEqual(told.events, [1, 2, 3, 4, 5, 7]);
    client.close();
});

test("numbers that were left out for others are no gap", () => {
    const { client, told } = make();
    const socket = connect(client);
    socket.tell("conversation.followed", conversation(0, 9));
    for (const it of [event(1, 0), event(4, 1), event(9, 4)]) socket.tell("conversation.event", it);
    assert.deepEqual(told.events, [1, 4, 9]);
    assert.equal(socket.last("conversation.history"), undefined);
    client.close();
});

test("it comes back with what it has, and reads a gap that the server could not fill", async () => {
    const { client, told } = make();
    const first = connect(client);
    first.tell("conversation.followed", conversation(0, 1));
    first.tell("conversation.event", event(1, 0));
    first.end(1006);
    assert.equal(client.state, "waiting");
    mock.timers.tick(600);
    const second = sockets.at(-1);
    second.open();
    assert.deepEqual(second.last("session.open").params, { role: "customer", site: "demo", resume: "token-1", since: { conv_1: 1 }, log: "log-1" });
    second.answer("session.open", { ...OPENED, conversations: [conversation(4, 5)] });
    second.tell("conversation.event", event(5, 4));
    second.answer("conversation.history", { events: [event(2, 1), event(3, 2), event(4, 3)], head: 5, more: false });
    await settled();
    assert.deepEqual(told.events, [1, 2, 3, 4, 5]);
    client.close();
});

test("what was asked waits, is asked again under the same key, and in order within a conversation", async () => {
    const { client } = make();
    const answers = [1, 2].map((number) => client.request("message.send", { conversation: "conv_1", text: `${number}` }));
    const elsewhere = client.request("message.send", { conversation: "conv_2", text: "there" });
    const first = connect(client);
    assert.deepEqual(first.sent.slice(1).map((it) => it.params.text), ["1", "there"]);
    const { key } = first.sent[1].params;
    assert.match(key, /^[0-9a-f]{32}$/);
    first.end(1006);
    mock.timers.tick(600);
    const second = sockets.at(-1);
    second.open();
    second.answer("session.open", OPENED);
    assert.equal(second.sent[1].params.key, key);
    second.say({ id: second.sent[1].id, result: { seq: 8 } });
    assert.equal(second.last("message.send").params.text, "2");
    second.refuse("message.send", -32000, { reason: "rate_limited", retry_after_ms: 200 });
    const before = second.sent.length;
    mock.timers.tick(100);
    assert.equal(second.sent.length, before, "not before it may");
    await new Promise((resolve) => setImmediate(resolve));
    // `performance.now` is not the mock's: the wait is over for the clock of the timers only.
    const real = performance.now;
    performance.now = () => real.call(performance) + 10_000;
    mock.timers.tick(10_000);
    performance.now = real;
    assert.equal(second.sent.length, before + 1);
    second.say({ id: second.sent.at(-1).id, result: { seq: 9 } });
    second.say({ id: second.sent[2].id, result: { seq: 1 } });
    assert.deepEqual(await Promise.all([...answers, elsewhere]), [{ seq: 8 }, { seq: 9 }, { seq: 1 }]);
    client.close();
});

test("refusals are told, with their reason", async () => {
    const { client } = make();
    const socket = connect(client);
    const refused = client.request("message.send", { conversation: "conv_1", text: "x" });
    socket.refuse("message.send", -32000, { reason: "claim_held", holder: { name: "Ben" } });
    await assert.rejects(refused, { name: "JonoError", reason: "claim_held", data: { reason: "claim_held", holder: { name: "Ben" }, code: -32000 } });
    const invalid = client.request("message.send", { conversation: "", text: "x" });
    socket.refuse("message.send", -32602, { field: "conversation", detail: "no id" });
    await assert.rejects(invalid, { reason: "invalid", message: "no id" });
    await assert.rejects(client.request("message.send", { conversation: "c", text: "x".repeat(70_000) }), { reason: "too_large" });
    client.close();
});

test("what must not surprise later fails without a connection", async () => {
    const { client } = make();
    await assert.rejects(client.request("conversation.claim", { conversation: "c" }, { onlineOnly: true }), { reason: "offline" });
    const socket = connect(client);
    const claim = client.request("conversation.claim", { conversation: "c" }, { onlineOnly: true });
    socket.end(1006);
    await assert.rejects(claim, { reason: "offline" });
    client.close();
});

test("a token that is refused makes a new visitor; a refused agent stays away", () => {
    let kept = "old";
    const resume = { load: () => kept, save: (token) => (kept = token) };
    const { client, told } = make({ resume });
    client.connect();
    sockets[0].open();
    assert.equal(sockets[0].last("session.open").params.resume, "old");
    sockets[0].refuse("session.open", -32000, { reason: "unauthorized" });
    assert.equal(kept, undefined);
    mock.timers.tick(600);
    sockets[1].open();
    assert.equal(sockets[1].last("session.open").params.resume, undefined);
    sockets[1].answer("session.open", OPENED);
    assert.equal(kept, "token-1");
    assert.deepEqual(told.resets, []);
    client.close();

    const { client: agent, told: its } = make({ open: () => ({ role: "agent", token: "wrong" }) });
    agent.connect();
    sockets.at(-1).open();
    sockets.at(-1).end(4001);
    assert.equal(agent.state, "refused");
    mock.timers.tick(100_000);
    assert.equal(its.states.at(-1), "refused");
    agent.close();
});

test("close codes decide when it comes back", () => {
    for (const [code, states] of [
        [1000, "waiting"],
        [1012, "waiting"],
        [4002, "refused"],
        [4003, "waiting"],
        [4004, "waiting"],
        [4005, "waiting"],
    ]) {
        const { client } = make();
        connect(client).end(code);
        assert.equal(client.state, states, `${code}`);
        const before = sockets.length;
        mock.timers.tick(500);
        const isBack = sockets.length > before;
        if (code === 1012 || code === 4004) assert.ok(isBack, `${code}: at once`);
        if (code === 4005 || code === 4002) assert.ok(!isBack, `${code}: not so soon`);
        client.close();
    }
});

test("a new log, or another customer, means that everything is forgotten", () => {
    const { client, told } = make();
    const first = connect(client);
    first.tell("conversation.followed", conversation(0, 1));
    first.tell("conversation.event", event(1, 0));
    first.end(1006);
    mock.timers.tick(600);
    sockets[1].open();
    sockets[1].answer("session.open", { ...OPENED, log: "log-2", conversations: [conversation(0, 1)] });
    assert.deepEqual(told.resets, ["log"]);
    sockets[1].tell("conversation.event", event(1, 0));
    assert.deepEqual(told.events, [1, 1]);
    sockets[1].end(1006);
    mock.timers.tick(600);
    sockets[2].open();
    sockets[2].answer("session.open", { ...OPENED, log: "log-2", me: { kind: "customer", id: "cus_2" } });
    assert.deepEqual(told.resets, ["log", "customer"]);
    client.close();
});

test("a server that is silent is asked, and given up when it stays silent", () => {
    const { client } = make();
    const socket = connect(client);
    mock.timers.tick(26_000);
    assert.ok(socket.last("ping"));
    socket.answer("ping", { now: 1 });
    mock.timers.tick(20_000);
    assert.equal(client.state, "online");
    mock.timers.tick(6_000);
    mock.timers.tick(11_000);
    assert.notEqual(client.state, "online");
    client.close();
});

test("close ends everything, and connect begins again", async () => {
    const { client } = make();
    const socket = connect(client);
    const asked = client.request("queue.list", {});
    client.close();
    await assert.rejects(asked, { reason: "closed" });
    assert.equal(socket.last("session.close").id, undefined);
    assert.equal(socket.closedWith, 1000);
    mock.timers.tick(100_000);
    assert.equal(sockets.length, 1);
    connect(client);
    assert.equal(client.state, "online");
    client.close();
});
