// The desk as agents have it: first its rules without a browser, then whole conversations in one.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import * as canned from "../../gateway/pages/desk/canned.js";
import { links } from "../../gateway/pages/desk/dom.js";
import * as i18n from "../../gateway/pages/desk/i18n.js";
import { action, KEYS } from "../../gateway/pages/desk/keys.js";
import * as store from "../../gateway/pages/desk/store.js";
import { TEXTS } from "../../gateway/pages/desk/texts.js";
import { axe, complaintsOf, DEMO, launchBrowser, Party, Server, SOON, until } from "./kit.mjs";

// ---- rules

const ME = { kind: "agent", id: "agt_me", name: "Me" };
const BEN = { kind: "agent", id: "agt_ben", name: "Ben" };
const VERA = { kind: "customer", id: "cus_vera" };

const row = (change = {}) => ({
    id: "conv_1",
    queue: "q_1",
    customer: { id: "cus_vera", name: "Vera", connected: true },
    state: "waiting",
    preview: "Hello",
    last_message_at: 1_000,
    unread: 1,
    started_at: 1_000,
    waiting_since: 1_000,
    priority: 0,
    claim: 0,
    tags: [],
    head: 3,
    ...change,
});
const opened = (conversations = [], log = "log_1") => ({
    session: "s",
    resumed: false,
    log,
    me: { ...ME, account: "person", role: "agent", status: "online", canned: [] },
    organisation: { id: "org_1", name: "Org", tags: [], agents: [{ ...BEN, kind: "bot", status: "online", connected: true, since: 0 }] },
    queues: [{ id: "q_1", name: "Support", open: true, waiting: 1, active: 0, unread: 1, longest_waiting_since: 1_000 }],
    conversations,
    limits: { message_bytes: 100, history: 500 },
    now: 50_000,
});
const event = (seq, type, body = {}, by = VERA, more = {}) => ({ conversation: "conv_1", seq, prev: seq - 1, at: seq * 1_000, by, type, body, ...more });

/** A desk to which all this has been said. */
function told(...said) {
    const state = store.create();
    store.opened(state, opened(), 40_000);
    for (const [method, params, now = 41_000] of said) store.notified(state, method, params, now);
    return state;
}
const full = (change) => ({ ...row(), metadata: {}, marks: [], from_seq: 0, ...change });

describe("what the desk knows", () => {
    test("the server's clock is kept, and lists are by state, oldest message first", () => {
        const state = told(
            ["conversation.updated", row({ id: "conv_2", last_message_at: 500 })],
            ["conversation.updated", row()],
            ["conversation.updated", row({ id: "conv_3", state: "active", holder: ME })],
            ["conversation.updated", row({ id: "conv_4", state: "active", holder: BEN })],
            ["conversation.updated", row({ id: "conv_5", state: "closed" })],
            ["conversation.updated", row({ id: "conv_6", queue: "q_other" })],
        );
        assert.equal(state.clock, 10_000);
        const lists = store.lists(state);
        const ids = (rows) => rows.map(({ id }) => id);
        assert.deepEqual(ids(lists.waiting), ["conv_2", "conv_1"]);
        assert.deepEqual(ids(lists.active), ["conv_3", "conv_4"]);
        assert.deepEqual(ids(lists.mine), ["conv_3"]);
        assert.deepEqual(ids(lists.closed), ["conv_5"]);
        assert.equal(store.unread(state), 3, "mine and nobody's, not Ben's");
    });

    test("events change the row at once, and an older row does not change it back", () => {
        const state = told(["conversation", full()], ["event", event(4, "claimed", { agent: ME, claim: 7 }, ME, { release_at: 90_000 })]);
        const now = () => state.rows.get("conv_1");
        assert.deepEqual([now().state, now().claim, now().release_at], ["active", 7, 90_000]);
        store.notified(state, "conversation.updated", row(), 0);
        assert.equal(now().state, "active", "a row from before the claim is stale");
        store.notified(state, "event", event(5, "message", { text: "a\n b" }), 0);
        assert.deepEqual([now().preview, now().unread, now().release_at], ["a b", 2, undefined], "an absent deadline is none");
        store.notified(state, "conversation.deadline", { conversation: "conv_1", close_at: 99_000 }, 0);
        assert.deepEqual([now().release_at, now().close_at], [undefined, 99_000]);
        store.notified(state, "event", event(6, "closed", { cause: "customer" }), 0);
        assert.deepEqual([now().state, now().close_at, state.closed], ["closed", undefined, ["conv_1"]]);
    });

    test("an event is there once, in order, and old ones change nothing but the log", () => {
        const state = told(["conversation", full()]);
        for (const seq of [2, 1, 3, 2]) store.notified(state, "event", event(seq, "tagged", { tag: `t${seq}` }), 0);
        const talk = state.talks.get("conv_1");
        assert.deepEqual(talk.events.map(({ seq }) => seq), [1, 2, 3]);
        assert.deepEqual(state.rows.get("conv_1").tags, [], "the row knew of those");
        assert.deepEqual(store.since(state), { conv_1: 3 });
    });

    test("metadata: changes are marked, null removes; blocks and ratings are known", () => {
        const state = told(["conversation", full({ metadata: { page: "/a", old: "x" } })]);
        store.notified(state, "event", event(4, "metadata", { changes: { page: "/b", old: null, basket: { Chair: "1" } } }), 5_000);
        const talk = state.talks.get("conv_1");
        assert.deepEqual(talk.metadata, { page: "/b", basket: { Chair: "1" } });
        assert.equal(talk.changed.get("page"), 5_000);
        store.notified(state, "event", event(5, "blocked", { until: 9 }, ME), 0);
        assert.deepEqual(talk.blocked, { until: 9 });
        store.notified(state, "event", event(6, "unblocked", {}, ME), 0);
        store.notified(state, "event", event(7, "rated", { rating: 4 }), 0);
        assert.deepEqual([talk.blocked, talk.rating], [null, 4]);
    });

    test("who types is forgotten after a while and with their message; marks never go back", () => {
        const state = told(["conversation", full()]);
        const typing = (by, at) => store.notified(state, "typing.changed", { conversation: "conv_1", by, typing: true }, at);
        const talk = state.talks.get("conv_1");
        typing(VERA, 1_000);
        typing(ME, 1_000);
        assert.equal(talk.typing.size, 1, "not me");
        assert.equal(store.quiet(state, 1_000 + store.TYPING_MS), false);
        assert.equal(store.quiet(state, 1_001 + store.TYPING_MS), true);
        typing(VERA, 20_000);
        store.notified(state, "event", event(4, "message", { text: "x" }), 0);
        assert.equal(talk.typing.size, 0);
        for (const seq of [4, 2]) store.notified(state, "receipt.changed", { conversation: "conv_1", by: VERA, seq }, 0);
        assert.equal(store.readByCustomer(talk), 4);
    });

    test("what is on its way is shown once, whatever comes first", () => {
        const state = told(["conversation", full()]);
        const talk = state.talks.get("conv_1");
        const send = (key, text) => store.sending(state, "conv_1", { key, type: "message", text, at: 0 });
        send("a", "one");
        store.sent(state, "conv_1", "a", 4);
        assert.equal(talk.pending.length, 1, "until its event is here");
        store.notified(state, "event", event(4, "message", { text: "one" }, ME), 0);
        assert.equal(talk.pending.length, 0);
        send("b", "two");
        store.notified(state, "event", event(5, "message", { text: "two" }, ME), 0);
        assert.equal(talk.pending.length, 0, "the event came before the answer");
        store.sent(state, "conv_1", "b", 5);
        send("c", "three");
        store.failed(state, "conv_1", "c", "error_claim_lost");
        store.notified(state, "event", event(6, "message", { text: "three" }, BEN), 0);
        assert.equal(talk.pending[0].error, "error_claim_lost", "stays until somebody has seen it");
        store.dropped(state, "conv_1", "c");
        assert.equal(talk.pending.length, 0);
    });

    test("after coming back: what is gone from the lists goes, texts stay, another log begins anew", () => {
        const state = told(["conversation.updated", row({ id: "conv_gone" })], ["conversation", full()], ["event", event(1, "started", {})]);
        store.opened(state, opened([full()]), 0);
        store.listed(state, "open", [row({ id: "conv_new" })], { first: true, last: true });
        assert.deepEqual([...state.rows.keys()].sort(), ["conv_1", "conv_new"]);
        assert.equal(state.talks.get("conv_1").events.length, 1);
        store.opened(state, opened([], "log_2"), 0);
        assert.equal(state.talks.size + state.rows.size, 0);
    });

    test("a hole in the log: what is behind it is read again", () => {
        const state = told(["conversation", full()], ["event", event(1, "started", {})]);
        store.notified(state, "conversation", full({ head: 900, from_seq: 400 }), 0);
        const talk = state.talks.get("conv_1");
        assert.deepEqual([talk.from, talk.events.length], [400, 0]);
        store.notified(state, "event", event(401, "message", { text: "x" }), 0);
        store.history(state, "conv_1", [event(399, "message", { text: "y" }), event(400, "message", { text: "z" })], 398);
        assert.deepEqual([talk.from, talk.events.map(({ seq }) => seq)], [398, [399, 400, 401]]);
    });

    test("bots are told apart", () => {
        const state = told();
        assert.deepEqual([ME, BEN, VERA, { kind: "system" }].map((by) => store.speaker(state, by)), ["me", "bot", "customer", "system"]);
    });
});

describe("canned messages", () => {
    const all = [
        { keyword: "hello", text: "Hello, I am [agent]. [who]", scope: "shared" },
        { keyword: "hello", text: "Hi!", scope: "personal" },
        { keyword: "Terve", text: "Terve [customer]", scope: "shared" },
    ];
    test("are found behind a slash that begins a word", () => {
        assert.deepEqual(canned.typed("/he", 3), { from: 0, keyword: "he" });
        assert.deepEqual(canned.typed("so /терве", 9), { from: 3, keyword: "терве" });
        assert.equal(canned.typed("and/or", 6), null);
        assert.equal(canned.typed("https://x", 9), null);
    });
    test("one's own comes before a shared one; case does not matter unless it has to", () => {
        assert.equal(canned.named(all, "hello").text, "Hi!");
        assert.equal(canned.named(all, "terve").keyword, "Terve");
        assert.equal(canned.named(all, "nothing"), undefined);
        assert.equal(canned.matching(all, "").length, 2);
    });
    test("placeholders become names, unknown ones stay", () => {
        assert.equal(canned.filled(all[0].text, { agent: "$& Anna" }), "Hello, I am $& Anna. [who]");
        assert.deepEqual(canned.put("so /he!", 3, 6, "Hi"), { text: "so Hi!", caret: 5 });
    });
});

describe("the keyboard", () => {
    const press = (key, more = {}) => ({ key, code: "", ctrlKey: false, altKey: false, metaKey: false, getModifierState: () => false, ...more });
    test("letters mean something outside fields only, and never with a modifier", () => {
        for (const { key, action: does } of KEYS) {
            assert.equal(action(press(key), false), does);
            assert.equal(action(press(key), true), null);
            for (const modifier of ["ctrlKey", "altKey", "metaKey"]) assert.equal(action(press(key, { [modifier]: true }), false), null);
            assert.equal(action(press(key, { getModifierState: (name) => name === "AltGraph" }), false), null);
        }
        assert.equal(new Set(KEYS.map(({ key }) => key)).size, KEYS.length);
    });
    test("the same keys on a Cyrillic keyboard; held keys repeat only what moves", () => {
        assert.equal(action(press("о", { code: "KeyJ" }), false), "next");
        assert.equal(action(press("j", { repeat: true }), false), "next");
        assert.equal(action(press("p", { repeat: true }), false), null);
    });
});

describe("languages", () => {
    const placeholders = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();
    const forms = (text) => (typeof text === "string" ? [text] : Object.values(text));
    /** Words that are the same in two languages. */
    const SAME = new Set(["field_send_key", "field_leave_key", "lasted_minutes", "lasted_moment", "field_newline_key"]);
    for (const language of Object.keys(TEXTS)) {
        test(`${language} is complete`, () => {
            assert.deepEqual(Object.keys(TEXTS[language]), Object.keys(TEXTS.en));
            const wanted = new Intl.PluralRules(language).resolvedOptions().pluralCategories.toSorted();
            for (const [key, text] of Object.entries(TEXTS[language])) {
                const english = TEXTS.en[key];
                assert.equal(typeof text, typeof english, key);
                if (typeof text === "object") assert.deepEqual(Object.keys(text).sort(), wanted, `${key}: the forms of ${language}`);
                for (const form of forms(text)) {
                    assert.ok(form.trim(), key);
                    assert.deepEqual(placeholders(form), placeholders(forms(english)[0]), `${key}: placeholders`);
                }
                if (language !== "en" && !SAME.has(key)) assert.notDeepEqual(text, english, `${key} is not translated`);
            }
        });
    }
    test("every refusal of the protocol, and every key, has a text", () => {
        const reasons = `unauthorized forbidden not_found conflict claim_held claim_lost queue_closed queue_full queue_empty no_agents blocked
            conversation_closed too_large rate_limited busy unavailable not_supported offline closed failed invalid`;
        for (const reason of reasons.split(/\s+/)) assert.ok(TEXTS.en[`error_${reason}`], reason);
        for (const { action } of KEYS) assert.ok(TEXTS.en[`key_${action}`], action);
    });
    test("the browser's language is taken where it is there", () => {
        assert.deepEqual([i18n.best("", ["sv", "fi-FI"]), i18n.best("ru", ["fi"]), i18n.best("", ["sv"])], ["fi", "ru", "en"]);
        i18n.choose("ru");
        assert.equal(i18n.t("waiting", { n: 22 }), "22 клиента ждут");
        assert.equal(i18n.t("error_something_new"), TEXTS.ru.error_failed);
        i18n.choose("en");
    });
});

test("links: only web addresses, as they are written", () => {
    const found = (text) => links(text).filter(({ href }) => href).map(({ href }) => href);
    assert.deepEqual(found("See https://a.example/b?c=d#e, (http://b.example)."), ["https://a.example/b?c=d#e", "http://b.example"]);
    assert.deepEqual(found("javascript:alert(1) data:text/html,x ftp://x mailto:a@b //x.example xhttps://y"), []);
    for (const text of ["", "a https://b.example c", "https://x.example/<script>"]) assert.equal(links(text).map((part) => part.text).join(""), text);
});

// ---- in a browser

let server;
let browser;
const contexts = [];
const tokens = new Map();

/** The desk in a window of its own. */
class DeskPage {
    static async open(login, settings = {}) {
        const context = await browser.newContext({ viewport: { width: 1400, height: 860 }, locale: "en-GB", ...settings });
        contexts.push(context);
        const page = await context.newPage();
        page.setDefaultTimeout(SOON);
        const desk = new DeskPage(page);
        if (login) {
            const credentials = JSON.stringify({ organisation: DEMO.organisation, token: await token(login) });
            await page.addInitScript((credentials) => sessionStorage.setItem("jono desk", credentials), credentials);
        }
        await page.goto(`${server.origin}/desk/`);
        if (login) await desk.isOnline();
        return desk;
    }

    constructor(page) {
        this.page = page;
        this.complaints = complaintsOf(page);
        this.field = page.locator("jono-composer textarea");
        this.log = page.locator("jono-talk .log");
        this.rows = page.locator("jono-lists a.row");
        this.head = page.locator("jono-talk .head");
        this.dialog = page.locator("dialog[open]");
        this.customer = page.locator("jono-customer");
        this.toasts = page.locator(".toasts");
    }

    isOnline() {
        return this.page.locator(".connection[data-state=connection_online]").waitFor();
    }

    row(name) {
        return this.rows.filter({ hasText: name });
    }

    tab(name) {
        return this.page.locator(".tabs button", { hasText: name });
    }

    /** A button of the conversation. */
    act(name) {
        return this.head.getByRole("button", { name });
    }

    async open(name) {
        await this.row(name).first().click();
        await this.head.locator("h2", { hasText: name }).waitFor();
    }

    async take(name) {
        await this.open(name);
        await this.act("Take").click();
        await this.page.locator("jono-composer textarea:focus:not([readonly])").waitFor();
    }

    async say(text) {
        await this.field.fill(text);
        await this.field.press("Enter");
    }

    bubble(text) {
        return this.log.locator(".bubble").getByText(text, { exact: true });
    }

    sees(text) {
        return this.bubble(text).first().waitFor();
    }

    /** Something that happened, in words. */
    hears(text) {
        return this.log.locator(".told").getByText(text).first().waitFor();
    }

    /** All that is shown and does not move by itself. */
    view() {
        return this.page.evaluate(() => {
            const texts = (selector) => [...document.querySelectorAll(selector)].map((it) => it.textContent);
            const still = (selector) =>
                [...document.querySelectorAll(selector)].map((it) => {
                    const copy = it.cloneNode(true);
                    for (const time of copy.querySelectorAll("time, [hidden]")) time.remove();
                    return copy.textContent;
                });
            return {
                rows: still("jono-lists a.row"),
                queues: still("jono-lists .queue .filter"),
                log: still("jono-talk .entry:not(.pending)"),
                head: texts("jono-talk .about"),
                tags: texts("jono-customer .tag span"),
                notes: still("jono-customer .notes li"),
                facts: still("jono-customer .facts div"),
            };
        });
    }
}

async function token(login) {
    if (!tokens.has(login)) {
        const body = JSON.stringify({ organisation: DEMO.organisation, login, password: DEMO.password });
        const answer = await fetch(`${server.origin}/v1/sign-in`, { method: "POST", headers: { "content-type": "application/json" }, body });
        tokens.set(login, (await answer.json()).token);
    }
    return tokens.get(login);
}

/** The demo's agents have ids that are known. */
const idOf = (login) => `agt_demo${login}`.padEnd(30, "a");

/** A visitor who has asked something. */
async function visitor(name, message = "Hello?", { queue = DEMO.support, metadata } = {}) {
    const party = await Party.visitor(server, name);
    const { conversation } = await party.ask("conversation.start", { queue, message, metadata });
    return {
        party,
        conversation,
        say: (text) => party.ask("message.send", { conversation, text }),
        ask: (method, params = {}) => party.ask(method, { conversation, ...params }),
        events: (type) => party.events(conversation, type),
        hears: (type, check = () => true) =>
            until(() => party.events(conversation, type).find((event) => check(event.body)), `the visitor hears ${type}`),
    };
}

describe("in a browser", () => {
    before(async () => {
        server = await Server.start();
        browser = await launchBrowser();
    });
    afterEach(async () => {
        await Promise.all(contexts.splice(0).map((context) => context.close()));
        const olivia = await Party.agent(server, "olivia");
        const { conversations } = await olivia.ask("conversation.list", { view: "open" });
        for (const { id: conversation, holder } of conversations) {
            const login = holder?.name.toLowerCase() ?? "olivia";
            const agent = login === "olivia" ? olivia : await Party.agent(server, login);
            if (!holder) await agent.ask("conversation.claim", { conversation });
            await agent.ask("conversation.close", { conversation });
            if (agent !== olivia) agent.close();
        }
        olivia.close();
    });
    after(async () => {
        await browser?.close();
        await server?.stop();
    });

    test("signing in, wrong and right, and out", async () => {
        const desk = await DeskPage.open();
        const { page } = desk;
        const organisation = page.getByLabel("Organisation");
        await until(async () => (await organisation.inputValue()) === DEMO.organisation, "the demo is offered");
        assert.equal(await page.getByLabel("Name").inputValue(), "anna");
        assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Sign in");
        await page.getByLabel("Password").fill("wrong");
        await page.keyboard.press("Enter");
        await page.getByText("The organisation, name or password is wrong.").waitFor();
        assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("name")), "password");
        await organisation.fill("nonsense");
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByText("The organisation, name or password is wrong.").waitFor();
        await organisation.fill("");
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByText("Fill in every field.").waitFor();
        await organisation.fill(DEMO.organisation);
        await page.getByLabel("Password").fill(DEMO.password);
        await page.getByRole("button", { name: "Sign in" }).click();
        await desk.isOnline();
        await page.getByText("Demo · Anna").waitFor();
        assert.doesNotMatch(page.url(), /token|password/, "no secret stands in an address");
        assert.ok(!(await page.evaluate(() => JSON.stringify({ ...localStorage }))).includes("jdt"), "the token is the tab's");

        await page.reload();
        await desk.isOnline();
        await page.getByRole("button", { name: "Settings" }).click();
        await page.getByRole("button", { name: "Sign out" }).click();
        await page.getByRole("button", { name: "Sign in" }).waitFor();
        assert.equal(await page.evaluate(() => sessionStorage.length), 0);
        await page.reload();
        await page.getByRole("button", { name: "Sign in" }).waitFor();
        assert.deepEqual(desk.complaints, []);
    });

    test("a session that ended asks for the password again, and keeps what was being written", async () => {
        const desk = await DeskPage.open("ben");
        const vera = await visitor("Vera");
        await desk.take("Vera");
        await desk.field.fill("Half an ans");
        const ben = (await server.admin("GET", "/agents")).items.find(({ login }) => login === "ben");
        await server.admin("PUT", `/agents/${ben.id}/password`, { password: "another-password" });
        tokens.delete("ben");
        await desk.page.getByText("Your session has ended.").waitFor();
        await server.admin("PUT", `/agents/${ben.id}/password`, { password: DEMO.password });
        await desk.page.getByLabel("Name").fill("ben");
        await desk.page.getByLabel("Password").fill(DEMO.password);
        await desk.page.getByRole("button", { name: "Sign in" }).click();
        await desk.isOnline();
        await desk.head.locator("h2", { hasText: "Vera" }).waitFor();
        assert.equal(await desk.field.inputValue(), "Half an ans");
        vera.party.close();
    });

    test("a whole conversation, both ways", async () => {
        const desk = await DeskPage.open("anna");
        const { page } = desk;
        await page.getByText("All quiet").waitFor();
        const vera = await visitor("Vera", "Where is my order?", {
            metadata: { page: "https://shop.example/a", browser: "Firefox", basket: { Chair: "2", Lamp: "1" } },
        });
        await desk.row("Vera").waitFor();
        await page.waitForFunction(() => document.title.startsWith("(1) "));
        const support = page.locator(".queue", { hasText: "Support" });
        await support.locator(".count", { hasText: /^1$/ }).waitFor();
        await support.getByRole("button", { name: "Take the next customer from Support" }).click();
        await desk.sees("Where is my order?");
        await page.locator("jono-composer textarea:focus").waitFor();
        assert.equal(await desk.log.getByText("Conversation started").count(), 0, "that is for the customer alone");

        await page.keyboard.type("Let me see.");
        await until(() => vera.party.heard.find(({ method, params }) => method === "typing.changed" && params.typing), "the visitor sees typing");
        await page.keyboard.press("Shift+Enter");
        await page.keyboard.type("Which number?");
        await page.keyboard.press("Enter");
        const { seq } = await vera.hears("message", ({ text }) => text === "Let me see.\nWhich number?");
        assert.equal(await desk.field.inputValue(), "");
        await until(() => vera.party.heard.find(({ method, params }) => method === "receipt.changed" && params.by.kind === "agent"), "read");

        await vera.ask("typing.set", { typing: true });
        await page.getByText("Vera is typing…").waitFor();
        await vera.say("4711\nhttps://track.example/4711");
        await desk.sees("4711\nhttps://track.example/4711");
        await page.getByText("Vera is typing…").waitFor({ state: "detached" });
        const link = desk.log.locator(".bubble a");
        assert.deepEqual(await link.evaluate((it) => [it.href, it.target, it.rel]), ["https://track.example/4711", "_blank", "noopener noreferrer nofollow"]);
        await vera.ask("receipt.read", { seq });
        await desk.log.locator(".entry.me .mark", { hasText: "Read" }).waitFor();
        await page.waitForFunction(() => !document.title.startsWith("("));

        const facts = desk.customer.locator("dd");
        await facts.getByText("https://shop.example/a").waitFor();
        await desk.customer.getByText("On the page").waitFor();
        await vera.ask("metadata.update", { metadata: { page: "https://shop.example/cart" } });
        await desk.customer.locator("[data-changed] dd", { hasText: "https://shop.example/cart" }).waitFor();
        assert.equal(await desk.customer.getByText("Chair").isVisible(), false, "folded");
        await desk.customer.locator("summary", { hasText: "basket" }).click();
        await desk.customer.getByText("Chair").waitFor();

        await desk.customer.getByLabel("Add a tag").selectOption("order");
        await desk.customer.locator(".tag", { hasText: "order" }).waitFor();
        await desk.row("Vera").locator(".tag", { hasText: "order" }).waitFor();
        await desk.customer.getByRole("button", { name: "Remove the tag order" }).click();
        await desk.hears("Anna removed the tag order");

        await desk.act("Close").click();
        await desk.dialog.getByRole("button", { name: "Cancel" }).click();
        await desk.act("Close").click();
        await desk.dialog.getByRole("button", { name: "Close", exact: true }).click();
        await vera.hears("closed");
        await desk.hears("Anna closed the conversation");
        assert.equal(await desk.field.getAttribute("readonly"), "");
        await vera.ask("conversation.rate", { rating: 4, comment: "Quick!" });
        await desk.hears("Vera gave the rating 4/5: Quick!");
        await desk.customer.getByLabel("Rating 4 of 5").waitFor();
        await desk.tab("Closed").click();
        await desk.row("4711").waitFor();
        await desk.tab("Open").click();
        await page.getByText("Nobody is waiting.", { exact: true }).first().waitFor();
        assert.deepEqual(desk.complaints, []);
        vera.party.close();
    });

    test("only one takes it; the other is told who", async () => {
        const anna = await DeskPage.open("anna");
        const vera = await visitor("Vera");
        await anna.open("Vera");
        // The button is pressed before the news of the other's claim has come.
        const ben = await Party.agent(server, "ben");
        await anna.page.evaluate(() => {
            const send = WebSocket.prototype.send;
            WebSocket.prototype.send = function (text) {
                if (!text.includes("conversation.claim")) return send.call(this, text);
                setTimeout(() => send.call(this, text), 500);
            };
        });
        await anna.act("Take").click();
        const { claim } = await ben.ask("conversation.claim", { conversation: vera.conversation });
        await anna.page.getByRole("alert").getByText("Ben is already answering this conversation.").waitFor();
        await anna.head.getByText("Ben is answering").waitFor();
        assert.equal(await anna.field.getAttribute("readonly"), "");
        await anna.page.getByText("Ben is answering. You can write notes.").waitFor();
        await ben.ask("message.send", { conversation: vera.conversation, claim, text: "From Ben" });
        await anna.log.locator(".entry.agent", { hasText: "From Ben" }).waitFor();
        await anna.page.locator(".toast.error").getByRole("button", { name: "Dismiss" }).click();
        await anna.page.locator(".toast").waitFor({ state: "detached" });
        ben.close();
        vera.party.close();
    });

    test("released by the timer: counted down, warned, seen, and kept by touch", async () => {
        await server.setQueue(DEMO.support, {
            settings: { ...(await server.admin("GET", `/queues/${DEMO.support}`)).settings, release_after_ms: 4_000, warn_before_ms: 3_000 },
        });
        const desk = await DeskPage.open("anna");
        const vera = await visitor("Vera");
        await desk.take("Vera");
        const deadline = desk.page.locator(".deadlines .deadline", { hasText: "Back to the queue in" });
        await deadline.getByText("0:02").waitFor();
        await desk.page.locator("[role=status]", { hasText: "The conversation with Vera is about to go back to the queue" }).waitFor();
        await desk.page.getByRole("button", { name: "Keep" }).click();
        await deadline.getByText("0:04").waitFor();
        await desk.field.fill("");
        await desk.hears("Returned to the queue: Anna was not active");
        await desk.page.getByRole("alert").getByText("went back to the queue because you were not active").waitFor();
        await vera.hears("released", ({ cause }) => cause === "inactive");
        await desk.head.getByText("Waiting").waitFor();
        await desk.act("Take").waitFor();
        await server.setQueue(DEMO.support, {
            settings: { ...(await server.admin("GET", `/queues/${DEMO.support}`)).settings, release_after_ms: 300_000, warn_before_ms: 60_000 },
        });
        await desk.act("Take").click();
        await desk.act("Release").click();
        await desk.hears("Anna returned the conversation to the queue");
        vera.party.close();
    });

    test("handed over from one desk to another, with all that was said", async () => {
        const [anna, ben] = [await DeskPage.open("anna"), await DeskPage.open("ben")];
        const vera = await visitor("Vera", "First question");
        await anna.take("Vera");
        await anna.say("From Anna");
        await vera.hears("message", ({ text }) => text === "From Anna");
        await anna.act("Hand over").click();
        await anna.dialog.getByRole("button", { name: "Ben" }).click();
        await anna.page.getByText("The conversation is now with Ben.").waitFor();
        await anna.head.getByText("Ben is answering").waitFor();
        await ben.page.locator("[role=status]", { hasText: "You were given the conversation with Vera" }).waitFor({ state: "attached" });
        await ben.tab("Mine").click();
        await ben.open("Vera");
        await ben.sees("First question");
        await ben.sees("From Anna");
        await ben.hears("Anna gave the conversation to Ben");
        await ben.say("From Ben");
        await vera.hears("message", ({ text }) => text === "From Ben");
        await anna.log.locator(".entry.agent", { hasText: "From Ben" }).waitFor();
        assert.deepEqual(await ben.log.locator(".bubble").allTextContents(), await anna.log.locator(".bubble").allTextContents());
        vera.party.close();
    });

    test("bots, agents, the customer and the system are told apart", async () => {
        const { id } = await server.admin("POST", "/agents", { name: "Robo", kind: "bot", role: "agent", queues: [DEMO.support] });
        const { secret: token } = await server.admin("POST", `/agents/${id}/tokens`, { label: "test" });
        const robo = await Party.open(server, { role: "agent", token });
        const desk = await DeskPage.open("anna");
        const vera = await visitor("Vera", "From the customer");
        const { claim } = await robo.ask("conversation.claim", { conversation: vera.conversation });
        await robo.ask("message.send", { conversation: vera.conversation, claim, text: "From the bot" });
        await desk.open("Vera");
        await desk.head.getByText("Robo is answering").waitFor();
        await robo.ask("conversation.release", { conversation: vera.conversation, claim });
        const ben = await Party.agent(server, "ben");
        const held = await ben.pick();
        await held.say("From a colleague");
        await ben.ask("conversation.assign", { conversation: vera.conversation, claim: held.claim, agent: idOf("anna") });
        await desk.head.getByText("You are answering").waitFor();
        await desk.say("From me");
        await desk.log.locator(".entry.me:not(.pending)", { hasText: "From me" }).waitFor();
        const kinds = await desk.log.locator(".entry:has(.bubble)").evaluateAll((all) => all.map((it) => it.className));
        assert.deepEqual(kinds, ["entry customer", "entry bot", "entry agent", "entry me"]);
        await desk.log.locator(".entry.bot .badge", { hasText: "Bot" }).waitFor();
        await desk.hears("Robo returned the conversation to the queue");
        robo.close();
        ben.close();
        vera.party.close();
    });

    test("moved to another queue, with a note for those who answer there", async () => {
        const desk = await DeskPage.open("anna");
        const vera = await visitor("Vera");
        await desk.take("Vera");
        await desk.act("Transfer").click();
        await desk.dialog.getByLabel("Note for those who answer there").fill("Wants a chair");
        await desk.dialog.getByRole("button", { name: "Sales" }).click();
        await desk.page.getByText("The conversation now waits in Sales.").waitFor();
        await desk.hears("Anna moved the conversation from Support to Sales");
        await vera.hears("transferred");
        await desk.row("Vera").getByText("Sales").waitFor();
        await desk.customer.locator(".notes li", { hasText: "Wants a chair" }).waitFor();
        assert.ok(!JSON.stringify(vera.party.heard).includes("Wants a chair"));
        await desk.page.locator(".queue", { hasText: "Sales" }).locator(".filter").click();
        await desk.row("Vera").waitFor();
        await desk.page.locator(".queue", { hasText: "Support" }).locator(".filter").click();
        await desk.row("Vera").waitFor({ state: "detached" });
        vera.party.close();
    });

    test("notes never reach the customer", async () => {
        const desk = await DeskPage.open("anna");
        const { page, field } = desk;
        const vera = await visitor("Vera");
        await desk.take("Vera");
        await field.fill("An answer, half wr");
        await page.getByRole("button", { name: "Note", exact: true }).click();
        assert.equal(await field.inputValue(), "", "a note begins empty");
        assert.equal(await field.getAttribute("aria-label"), "Note about Vera, only for colleagues");
        await page.getByText("The customer never sees notes.").waitFor();
        assert.equal(await page.getByRole("button", { name: "Send", exact: true }).count(), 0, "there is nothing to send with");
        await field.fill("SECRET one");
        await field.press("Enter");
        await desk.log.locator(".entry.note:not(.pending)", { hasText: "SECRET one" }).waitFor();
        await field.fill("SECRET two");
        await page.getByRole("button", { name: "Answer", exact: true }).click();
        assert.equal(await field.inputValue(), "An answer, half wr", "each keeps its own text");
        await field.press("Enter");
        await vera.hears("message", ({ text }) => text === "An answer, half wr");
        await page.getByRole("button", { name: "Note", exact: true }).click();
        assert.equal(await field.inputValue(), "SECRET two");
        await page.getByRole("button", { name: "Save note" }).click();
        await desk.customer.locator(".notes li").nth(1).waitFor();

        // Whatever happens to the claim meanwhile, a note stays a note.
        await field.fill("SECRET three");
        await desk.act("Release").click();
        await desk.act("Take").waitFor();
        assert.equal(await field.inputValue(), "SECRET three");
        await desk.act("Take").click();
        await page.locator("jono-composer textarea:focus").waitFor();
        await page.keyboard.press("Enter");
        await desk.customer.locator(".notes li").nth(2).waitFor();
        await page.getByRole("button", { name: "Answer", exact: true }).click();
        await desk.say("After the notes");
        await vera.hears("message", ({ text }) => text === "After the notes");
        const history = await vera.ask("conversation.history", { after: 0 });
        assert.ok(!JSON.stringify([vera.party.heard, history]).includes("SECRET"));
        vera.party.close();
    });

    test("canned messages by keyword, in the engine's keeping", async () => {
        const desk = await DeskPage.open("anna");
        const { page, field } = desk;
        const vera = await visitor("Vera");
        await desk.take("Vera");
        await page.keyboard.type("/hello ");
        assert.equal(await field.inputValue(), "Hello! I am Anna. How can I help?");
        await field.fill("");
        await page.keyboard.type("Well, /mo");
        await page.getByRole("option").filter({ hasText: "/moment" }).waitFor();
        await page.keyboard.press("Tab");
        assert.equal(await field.inputValue(), "Well, One moment, please, I am looking into it.");
        await field.fill("and/hello ");
        assert.equal(await field.inputValue(), "and/hello ", "a slash inside a word is a slash");
        await field.fill("/nothing ");
        assert.equal(await field.inputValue(), "/nothing ");

        await field.fill("");
        await desk.customer.locator("summary", { hasText: "Canned messages" }).click();
        await desk.customer.getByRole("button", { name: "Edit canned messages" }).click();
        await desk.dialog.getByLabel("Keyword").fill("two words");
        await desk.dialog.getByLabel("Message").fill("x");
        await desk.dialog.getByRole("button", { name: "Save message" }).click();
        await desk.dialog.getByText("The keyword is one word").waitFor();
        await desk.dialog.getByLabel("Keyword").fill("Päivää");
        await desk.dialog.getByLabel("Message").fill("Päivää [customer], [queue]!\n[agent]");
        await desk.dialog.getByRole("button", { name: "Save message" }).click();
        await desk.dialog.getByText("/Päivää").waitFor();
        await page.keyboard.press("Escape");
        await field.fill("");
        await field.focus();
        await page.keyboard.type("/päivää ");
        assert.equal(await field.inputValue(), "Päivää Vera, Support!\nAnna");
        const other = await DeskPage.open("anna");
        await other.open("Vera");
        await other.customer.locator("summary", { hasText: "Canned messages" }).click();
        await other.customer.locator(".canned").getByText("/Päivää").click();
        assert.equal(await other.field.inputValue(), "Päivää Vera, Support!\nAnna");
        await desk.customer.getByRole("button", { name: "Edit canned messages" }).click();
        await desk.dialog.getByRole("button", { name: "Remove /Päivää" }).click();
        await desk.dialog.getByText("/Päivää").waitFor({ state: "detached" });
        await other.customer.locator(".canned").getByText("/Päivää").waitFor({ state: "detached" });
        vera.party.close();
    });

    test("blocking and unblocking", async () => {
        const desk = await DeskPage.open("anna");
        const vera = await visitor("Vera");
        await desk.take("Vera");
        await desk.customer.getByRole("button", { name: "Block…" }).click();
        await desk.dialog.getByRole("button", { name: "For 1 h" }).click();
        await desk.customer.getByText("Blocked until").waitFor();
        await desk.hears("Anna blocked Vera for 1 h");
        await assert.rejects(vera.say("x"), { reason: "blocked" });
        await desk.customer.getByRole("button", { name: "Unblock" }).click();
        await desk.hears("Anna unblocked Vera");
        await vera.say("Thank you");
        await desk.sees("Thank you");
        vera.party.close();
    });

    test("presence is chosen and seen", async () => {
        const [desk, ben] = [await DeskPage.open("anna"), await Party.agent(server, "ben")];
        await desk.page.getByRole("radio", { name: "Online" }).and(desk.page.locator(":checked")).waitFor();
        await desk.page.getByRole("radio", { name: "Away" }).check();
        const seen = () => ben.heard.find(({ method, params }) => method === "agent.presence" && params.status === "away" && params.cause === "chosen");
        await until(seen, "Ben sees that Anna is away");
        await desk.page.getByRole("radio", { name: "Away" }).and(desk.page.locator(":checked")).waitFor();
        await desk.page.getByRole("radio", { name: "Online" }).check();
        await desk.page.getByRole("radio", { name: "Online" }).and(desk.page.locator(":checked")).waitFor();
        ben.close();
    });

    test("queues are opened and closed by hand", async () => {
        const desk = await DeskPage.open("anna");
        await desk.page.locator(".queue", { hasText: "Sales" }).locator(".filter").click();
        await desk.page.getByRole("button", { name: "Close the queue" }).click();
        await desk.page.getByRole("button", { name: /^Sales, Closed/ }).waitFor();
        await desk.page.getByRole("button", { name: "Open the queue" }).click();
        await desk.page.getByRole("button", { name: /^Sales, Open/ }).waitFor();
    });

    test("search opens a closed conversation at the message", async () => {
        const desk = await DeskPage.open("anna");
        const vera = await visitor("Vera", "The first of many");
        await desk.take("Vera");
        await vera.say("my umbrella is purple");
        await desk.sees("my umbrella is purple");
        // As quickly as one client may.
        for (let n = 1; n <= 25; n += 1) await vera.say(`line ${n}`);
        await desk.sees("line 25");
        await desk.act("Close").click();
        await desk.dialog.getByRole("button", { name: "Close", exact: true }).click();
        await vera.hears("closed");
        await desk.page.keyboard.press("Escape");
        await desk.page.evaluate(() => (location.hash = ""));
        await desk.page.keyboard.press("/");
        await desk.page.keyboard.type("purple umbrella");
        await desk.page.keyboard.press("Enter");
        await desk.row("my umbrella is purple").click();
        await desk.log.locator("[data-target]", { hasText: "my umbrella is purple" }).waitFor();
        await until(() => desk.bubble("my umbrella is purple").evaluate((it) => {
            const { top, bottom } = it.getBoundingClientRect();
            return top > 0 && bottom < innerHeight;
        }), "the message is in view");
        await desk.page.getByLabel("Search conversations").fill("zzz nothing");
        await desk.page.keyboard.press("Enter");
        await desk.page.getByText("Nothing was found.").waitFor();
        vera.party.close();
    });

    test("a long conversation is read back as far as it goes", async () => {
        const vera = await visitor("Vera", "line 0");
        const anna = await Party.agent(server);
        const { claim } = await anna.ask("conversation.claim", { conversation: vera.conversation });
        for (let n = 1; n <= 560; n += 1) await anna.ask("message.send", { conversation: vera.conversation, claim, text: `line ${n}` });
        const desk = await DeskPage.open("anna");
        await desk.open("Vera");
        await desk.sees("line 560");
        assert.equal(await desk.bubble("line 0").count(), 0);
        await desk.page.getByRole("button", { name: "Show earlier messages" }).click();
        await desk.sees("line 0");
        const lines = await desk.log.locator(".bubble").allTextContents();
        assert.deepEqual(lines, Array.from({ length: 561 }, (_, n) => `line ${n}`));
        anna.close();
        vera.party.close();
    });

    test("the server is killed and started again: the view is the same, and nothing is lost or doubled", async () => {
        const desk = await DeskPage.open("anna");
        const { page } = desk;
        const vera = await visitor("Vera", "Before", { metadata: { page: "/a" } });
        const kim = await visitor("Kim", "Waiting", { queue: DEMO.sales });
        await desk.take("Vera");
        await desk.say("Answer before");
        await vera.hears("message", ({ text }) => text === "Answer before");
        await page.getByRole("button", { name: "Note", exact: true }).click();
        await desk.say("A note");
        await desk.customer.locator(".notes li", { hasText: "A note" }).waitFor();
        await desk.customer.getByLabel("Add a tag").selectOption("order");
        await desk.customer.locator(".tag", { hasText: "order" }).waitFor();
        await page.getByRole("button", { name: "Answer", exact: true }).click();
        vera.party.close();
        kim.party.close();
        await desk.customer.getByText("Not on the page").waitFor();
        await desk.row("Kim").getByText("Not on the page").waitFor({ state: "attached" });
        const view = await desk.view();

        await server.kill();
        await page.locator(".connection[data-state=connection_waiting]").waitFor();
        assert.equal(await desk.act("Close").isDisabled(), true);
        assert.deepEqual(await desk.view(), view, "what was there stays to be read");
        await desk.say("Written without a connection");
        await desk.log.getByText("Will be sent when the connection is back").waitFor();
        await server.resume();
        await desk.isOnline();
        await desk.log.locator(".entry.me:not(.pending)", { hasText: "Written without a connection" }).waitFor();
        assert.equal(await desk.bubble("Written without a connection").count(), 1);

        const other = await DeskPage.open("anna");
        await other.open("Vera");
        await other.sees("Written without a connection");
        await until(async () => JSON.stringify(await desk.view()) === JSON.stringify(await other.view()), "both desks show the same").catch(
            async () => assert.deepEqual(await desk.view(), await other.view()),
        );
        const now = await desk.view();
        assert.deepEqual([now.notes, now.tags, now.facts.length], [view.notes, view.tags, view.facts.length]);
        assert.deepEqual(now.log.slice(0, view.log.length), view.log);
        assert.equal(now.log.length, view.log.length + 1);
    });

    test("what was written by others is text, wherever it stands", async () => {
        const desk = await DeskPage.open("anna");
        const { page } = desk;
        const dialogs = [];
        page.on("dialog", (dialog) => dialogs.push(dialog.message()) && dialog.dismiss());
        const word = (payload) => payload.replaceAll(/\s+/gu, "").slice(0, 60);
        const olivia = await Party.agent(server, "olivia");
        const names = PAYLOADS.slice(0, 20);
        // Names of queues, tags, agents, and canned messages are given by operators.
        await server.setQueue(DEMO.sales, { name: `Sales ${PAYLOADS[0]}` });
        const tags = [...new Set(PAYLOADS.slice(0, 12).map(word))].filter((tag) => !tag.includes("/"));
        for (const tag of tags) await server.admin("PUT", `/tags/${encodeURIComponent(tag)}`, { group: PAYLOADS[1], colour: "red;background:url(https://x.example)" });
        for (const [n, payload] of PAYLOADS.entries()) await olivia.ask("canned.set", { keyword: `p${n}`, text: payload, scope: "shared" });
        const metadata = Object.fromEntries(PAYLOADS.slice(0, 25).map((payload, n) => [word(`${n}${payload}`), payload]));
        const first = await visitor(names[0], PAYLOADS[0], { queue: DEMO.sales, metadata: { ...metadata, __proto__x: "y", group: { [PAYLOADS[0]]: PAYLOADS[1] } } });
        const others = [];
        for (const name of names.slice(1)) others.push(await visitor(name, `from ${name}`));
        await until(async () => (await desk.rows.count()) === names.length, "every row is there");
        for (const name of names) assert.ok(await desk.rows.locator(".name").getByText(name, { exact: true }).count(), name);

        await page.locator(".queue", { hasText: "Sales" }).locator(".pick").click();
        await desk.sees(PAYLOADS[0]);
        for (const payload of PAYLOADS.slice(1)) {
            await first.say(payload);
            // A visitor may write 30 at once, then 5 a second.
            await new Promise((resolve) => setTimeout(resolve, 210));
        }
        await desk.sees(PAYLOADS.at(-1));
        assert.deepEqual(await desk.log.locator(".entry.customer .bubble").allTextContents(), PAYLOADS);
        await page.getByRole("button", { name: "Note", exact: true }).click();
        for (const payload of PAYLOADS.slice(0, 10)) {
            await desk.say(payload);
            await desk.customer.locator(".notes .text").getByText(payload, { exact: true }).first().waitFor();
        }
        for (const tag of tags) await olivia.ask("tag.add", { conversation: first.conversation, tag });
        await until(async () => (await desk.customer.locator(".tag").count()) === tags.length, "every tag is there");
        assert.deepEqual(await desk.customer.locator(".tag > span").allTextContents(), tags.toSorted());
        await desk.customer.locator("summary", { hasText: "Canned messages" }).click();
        assert.equal(await desk.customer.locator(".canned li").count(), PAYLOADS.length + 3);
        for (const button of ["Hand over", "Transfer", "Close"]) {
            await desk.act(button).click();
            await desk.dialog.waitFor();
            await page.keyboard.press("Escape");
        }
        await page.getByLabel("Search conversations").fill(PAYLOADS[0]);
        await page.getByLabel("Search conversations").press("Enter");
        await page.locator(".group h3", { hasText: "Found" }).waitFor();

        const strange = await page.evaluate(() => ({
            elements: [...document.querySelectorAll("img, iframe, object, embed, video, audio, form[action], meta[http-equiv], base, style, math, script:not([src='desk.js'])")].map((it) => it.outerHTML),
            handlers: [...document.querySelectorAll("*")].flatMap((it) => it.getAttributeNames()).filter((name) => name.startsWith("on")),
            links: [...document.querySelectorAll("a[href]")].map((it) => it.href).filter((href) => !/^https?:/.test(href)),
            ran: "pwned" in window,
        }));
        assert.deepEqual(strange, { elements: [], handlers: [], links: [], ran: false });
        assert.deepEqual([dialogs, desk.complaints], [[], []]);
        await server.setQueue(DEMO.sales, { name: "Sales" });
        for (const tag of tags) await server.admin("DELETE", `/tags/${encodeURIComponent(tag)}`);
        for (const n of PAYLOADS.keys()) await olivia.ask("canned.remove", { keyword: `p${n}`, scope: "shared" });
        for (const it of [first, ...others]) it.party.close();
        olivia.close();
    });

    test("axe finds nothing, in every state and both themes", async () => {
        const found = [];
        const check = async (page, state) => {
            for (const colorScheme of ["light", "dark"]) {
                await page.emulateMedia({ colorScheme });
                for (const one of await axe(page)) found.push(`${state}, ${colorScheme}: ${one}`);
            }
        };
        const door = await DeskPage.open();
        await door.page.getByText("This is a demo").waitFor();
        await check(door.page, "sign-in");
        await door.page.getByLabel("Password").fill("");
        await door.page.getByRole("button", { name: "Sign in" }).click();
        await door.page.getByText("Fill in every field.").waitFor();
        await check(door.page, "sign-in refused");

        const desk = await DeskPage.open("anna");
        const { page } = desk;
        await page.getByText("All quiet").waitFor();
        await check(page, "empty");
        const vera = await visitor("Vera", "Hello https://a.example", { metadata: { page: "https://a.example/", basket: { Chair: "1" } } });
        const kim = await visitor(undefined, "hi", { queue: DEMO.sales });
        await desk.row("Vera").waitFor();
        await check(page, "somebody waits");
        await desk.open("Vera");
        await check(page, "looked at");
        await desk.take("Vera");
        await desk.say("An answer");
        await vera.say("And a question");
        await desk.customer.getByLabel("Add a tag").selectOption("bug");
        await desk.customer.locator(".tag", { hasText: "bug" }).waitFor();
        await page.keyboard.type("/");
        await page.getByRole("listbox").waitFor();
        await check(page, "suggestions");
        await desk.field.fill("");
        await page.getByRole("button", { name: "Note", exact: true }).click();
        await desk.say("A note");
        await desk.customer.locator(".notes li").waitFor();
        await desk.field.fill("Another");
        await check(page, "note");
        await desk.customer.locator("summary", { hasText: "basket" }).click();
        await desk.customer.locator("summary", { hasText: "Canned" }).click();
        await vera.ask("metadata.update", { metadata: { basket: { Chair: "2" } } });
        await desk.customer.locator("[data-changed]").first().waitFor();
        await check(page, "unfolded");
        for (const name of ["Hand over", "Transfer", "Close"]) {
            await desk.act(name).click();
            await desk.dialog.waitFor();
            await page.waitForTimeout(150);
            await check(page, name);
            await page.keyboard.press("Escape");
        }
        await desk.customer.getByRole("button", { name: "Block…" }).click();
        await check(page, "block");
        await desk.dialog.getByRole("button", { name: "For good" }).click();
        await desk.customer.getByText("Blocked until somebody").waitFor();
        await check(page, "blocked");
        await desk.customer.getByRole("button", { name: "Unblock" }).click();
        await page.getByRole("button", { name: "Settings" }).click();
        await check(page, "settings");
        await desk.dialog.getByRole("button", { name: "Edit canned messages" }).click();
        await check(page, "canned messages");
        await page.keyboard.press("Escape");
        await page.keyboard.press("Escape");
        await desk.head.locator("h2").focus();
        await page.keyboard.press("?");
        await check(page, "help");
        await page.keyboard.press("Escape");
        await page.locator(".queue", { hasText: "Sales" }).locator(".filter").click();
        await page.getByRole("button", { name: "Close the queue" }).click();
        await page.getByRole("button", { name: "Open the queue" }).waitFor();
        await check(page, "queue chosen and closed");
        await page.getByRole("button", { name: "Open the queue" }).click();
        await page.locator(".queue", { hasText: "Sales" }).locator(".filter").click();
        await desk.act("Close").click();
        await desk.dialog.getByRole("button", { name: "Close", exact: true }).click();
        await vera.hears("closed");
        await vera.ask("conversation.rate", { rating: 2 });
        await desk.customer.getByLabel("Rating 2 of 5").waitFor();
        await check(page, "closed");
        await desk.tab("Closed").click();
        await check(page, "closed list");
        await page.getByLabel("Search conversations").fill("question");
        await page.getByLabel("Search conversations").press("Enter");
        await desk.row("And a question").waitFor();
        await check(page, "found");
        for (const width of [390, 900]) {
            await page.setViewportSize({ width, height: 780 });
            await check(page, `${width} wide`);
            await page.getByRole("button", { name: "About the customer" }).click();
            await desk.customer.locator("h2").waitFor();
            await check(page, `${width} wide, customer`);
            await desk.customer.getByRole("button", { name: "Hide this pane" }).click();
        }
        await desk.page.getByRole("radio", { name: "Away" }).check();
        await page.getByRole("radio", { name: "Away" }).and(page.locator(":checked")).waitFor();
        await page.evaluate(() => (location.hash = ""));
        await desk.rows.first().waitFor();
        await page.setViewportSize({ width: 390, height: 780 });
        await check(page, "narrow lists, away");
        await page.setViewportSize({ width: 1400, height: 860 });
        await desk.page.getByRole("radio", { name: "Online" }).check();
        await page.context().setOffline(true);
        await page.evaluate(() => (location.hash = "conv_nothing"));
        await server.kill();
        await page.locator(".connection[data-state=connection_waiting]").waitFor();
        await check(page, "connection lost");
        await server.resume();
        await page.context().setOffline(false);
        await page.getByText("It is not there, or you may not see it.").waitFor();
        await check(page, "not there");
        assert.deepEqual(found, []);
        for (const it of [vera, kim]) it.party.close();
    });

    test("by keyboard alone: sign in, take, answer, note, search, close", async () => {
        const desk = await DeskPage.open();
        const { page } = desk;
        const { keyboard } = page;
        const focused = (what) => page.waitForFunction((what) => document.activeElement?.matches(what), what);
        await page.getByText("This is a demo").waitFor();
        await keyboard.press("Enter");
        await desk.isOnline();
        const vera = await visitor("Vera", "Keyboard?");
        const kim = await visitor("Kim", "Me too");
        await desk.row("Kim").waitFor();
        await page.evaluate(() => document.activeElement?.blur());
        await keyboard.press("Tab");
        await focused(".skip");
        await keyboard.press("?");
        await desk.dialog.waitFor();
        await keyboard.press("Escape");
        await focused(".skip");
        await keyboard.press("j");
        await desk.head.locator("h2", { hasText: "Vera" }).waitFor();
        await keyboard.press("j");
        await desk.head.locator("h2", { hasText: "Kim" }).waitFor();
        await keyboard.press("k");
        await desk.head.locator("h2", { hasText: "Vera" }).waitFor();
        await keyboard.press("t");
        await focused("jono-composer textarea:not([readonly])");
        // In a field, letters are letters.
        await keyboard.type("jk?/pxe take it");
        await keyboard.press("Enter");
        await vera.hears("message", ({ text }) => text === "jk?/pxe take it");
        await keyboard.press("Escape");
        await focused("jono-talk h2");
        await keyboard.press("n");
        await focused("jono-composer textarea");
        await keyboard.type("noted");
        await keyboard.press("Enter");
        await keyboard.press("Escape");
        await desk.customer.locator(".notes li", { hasText: "noted" }).waitFor();
        for (const modifier of ["Alt", "Control"]) {
            await keyboard.down(modifier);
            await keyboard.press("x");
            await keyboard.up(modifier);
        }
        assert.equal(await desk.dialog.count(), 0, "nothing is bound to Alt or Control");
        await keyboard.press("i");
        await desk.customer.waitFor({ state: "hidden" });
        await keyboard.press("i");
        await desk.customer.waitFor();
        await keyboard.press("2");
        await page.locator(".tabs [aria-pressed=true]", { hasText: "Mine" }).waitFor();
        await keyboard.press("1");
        await keyboard.press("a");
        await desk.dialog.getByText("No colleague in this queue is online.").or(desk.dialog.getByRole("button", { name: "Ben" })).first().waitFor();
        await keyboard.press("Escape");
        await keyboard.press("x");
        await focused("dialog .primary");
        await keyboard.press("Enter");
        await vera.hears("closed");
        await keyboard.press("p");
        await desk.head.locator("h2", { hasText: "Kim" }).waitFor();
        await focused("jono-composer textarea:not([readonly])");
        await keyboard.press("Escape");
        await keyboard.press("u");
        await desk.hears("Anna returned the conversation to the queue");
        await keyboard.press("/");
        await focused(".search input");
        await keyboard.type("Keyboard");
        await keyboard.press("Enter");
        await desk.row("Keyboard?").waitFor();
        await keyboard.press("Escape");

        // Single letters can be switched off.
        await page.getByRole("button", { name: "Settings" }).focus();
        await keyboard.press("Enter");
        await page.getByLabel("Single-letter shortcuts").focus();
        await keyboard.press("Space");
        await keyboard.press("Escape");
        await keyboard.press("?");
        await page.waitForTimeout(200);
        assert.equal(await desk.dialog.count(), 0);
        assert.deepEqual(desk.complaints, []);
        for (const it of [vera, kim]) it.party.close();
    });

    test("in Finnish and Russian, and changed on the way", async () => {
        const vera = await visitor("Vera");
        const desk = await DeskPage.open("anna", { locale: "fi-FI" });
        const { page } = desk;
        assert.equal(await page.evaluate(() => document.documentElement.lang), "fi");
        await page.getByText("1 asiakas odottaa").waitFor();
        await desk.open("Vera");
        await desk.hears("Vera aloitti keskustelun");
        await desk.act("Ota").click();
        await desk.field.fill("kesken");
        await page.getByRole("button", { name: "Asetukset" }).click();
        await desk.dialog.getByLabel("Kieli").selectOption("ru");
        await desk.hears("Vera: начало диалога");
        assert.equal(await page.evaluate(() => document.documentElement.lang), "ru");
        assert.equal(await desk.field.inputValue(), "kesken", "what was being written is still there");
        await page.getByRole("button", { name: "Настройки" }).click();
        await desk.dialog.getByLabel("Цвета").selectOption("dark");
        assert.equal(await page.evaluate(() => getComputedStyle(document.body).colorScheme), "dark");
        await page.reload();
        await desk.isOnline();
        await desk.hears("Vera: начало диалога");
        for (const width of [1400, 900, 390, 320]) {
            await page.setViewportSize({ width, height: 800 });
            assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `nothing sticks out at ${width}`);
        }
        vera.party.close();
    });

    test("a sound only when it was asked for, and a desktop notification when nobody looks", async () => {
        const desk = await DeskPage.open("anna", { permissions: ["notifications"] });
        const { page } = desk;
        await page.evaluate(() => {
            window.shown = [];
            window.Notification = class {
                static permission = "granted";
                static requestPermission = async () => "granted";
                constructor(title, options) {
                    window.shown.push([title, options.body]);
                }
                close() {}
            };
            window.beeps = 0;
            const start = OscillatorNode.prototype.start;
            OscillatorNode.prototype.start = function (...args) {
                window.beeps += 1;
                return start.apply(this, args);
            };
            document.hasFocus = () => false;
        });
        const vera = await visitor("Vera", "Silent");
        await desk.row("Vera").waitFor();
        assert.deepEqual(await page.evaluate(() => [window.beeps, window.shown]), [0, []]);
        await page.getByRole("button", { name: "Sound for new messages" }).click();
        await page.getByRole("button", { name: "Settings" }).click();
        await page.getByLabel("Desktop notifications").check();
        await page.keyboard.press("Escape");
        const kim = await visitor("Kim", "Loud");
        await page.waitForFunction(() => window.shown.length > 0);
        assert.deepEqual(await page.evaluate(() => window.shown), [["New message in Support", "Loud"]]);
        await page.waitForFunction(() => window.beeps > 0);
        for (const it of [vera, kim]) it.party.close();
    });
});

/** Ways in which text has become markup or code elsewhere. */
const PAYLOADS = [
    `<script>window.pwned=1</script>`,
    `<img src=x onerror=window.pwned=1>`,
    `"><svg onload=window.pwned=1>`,
    `'><img src=x onerror=alert(1)>`,
    `<iframe srcdoc="<script>parent.pwned=1</script>">`,
    `<a href="javascript:window.pwned=1">click</a>`,
    `javascript:window.pwned=1`,
    `data:text/html,<script>alert(1)</script>`,
    `<b>bold</b>`,
    `&lt;script&gt;window.pwned=1&lt;/script&gt;`,
    `<details open ontoggle=window.pwned=1>`,
    `<body onload=window.pwned=1>`,
    `<input autofocus onfocus=window.pwned=1>`,
    `<marquee onstart=window.pwned=1>x</marquee>`,
    `<video><source onerror=window.pwned=1></video>`,
    `<audio src=x onerror=window.pwned=1>`,
    `<object data="javascript:window.pwned=1">`,
    `<embed src="javascript:window.pwned=1">`,
    `<base href="https://evil.example/">`,
    `<meta http-equiv="refresh" content="0;url=https://evil.example">`,
    `<link rel=stylesheet href=https://evil.example/x.css>`,
    `<style>*{display:none}</style>`,
    `<style>@import 'https://evil.example';</style>`,
    `<form action=https://evil.example><button>x</button></form>`,
    `<math><mtext><table><mglyph><style><img src=x onerror=window.pwned=1>`,
    `<svg><animate onbegin=window.pwned=1 attributeName=x dur=1s>`,
    `<svg><script>window.pwned=1</script></svg>`,
    `<svg><use href="data:image/svg+xml,<svg id=x onload=alert(1)>#x"/></svg>`,
    `<template><script>window.pwned=1</script></template>`,
    `<noscript><p title="</noscript><img src=x onerror=window.pwned=1>">`,
    `<textarea></textarea><script>window.pwned=1</script>`,
    `</textarea><img src=x onerror=window.pwned=1>`,
    `</script><script>window.pwned=1</script>`,
    `--><img src=x onerror=window.pwned=1><!--`,
    `]]><img src=x onerror=window.pwned=1>`,
    `<!--<img src="--><img src=x onerror=window.pwned=1>`,
    "`${window.pwned=1}`",
    `{{constructor.constructor('window.pwned=1')()}}`,
    `\${window.pwned=1}`,
    `#{window.pwned=1}`,
    `<%= window.pwned=1 %>`,
    `'-alert(1)-'`,
    `";window.pwned=1;//`,
    `\\";window.pwned=1;//`,
    `<scr<script>ipt>window.pwned=1</scr</script>ipt>`,
    `<IMG SRC=JaVaScRiPt:window.pwned=1>`,
    `<img src="x" style="background:url(javascript:window.pwned=1)">`,
    `<div style="position:fixed;inset:0;background:red">x</div>`,
    `<x onclick=window.pwned=1>click</x>`,
    `<jono-desk></jono-desk>`,
    `<slot onslotchange=window.pwned=1></slot>`,
    `<a href="https://a.example" onclick=window.pwned=1>a</a>`,
    `https://a.example/"onmouseover="window.pwned=1`,
    `https://a.example/<script>window.pwned=1</script>`,
    `https://user:pass@evil.example\u202e/moc.elpmaxe`,
    `http://[::1`,
    `[x](javascript:window.pwned=1)`,
    `![x](https://evil.example/x.png)`,
    `<javascript:alert(1)>`,
    `＜script＞window.pwned=1＜/script＞`,
    `\u202e<script>window.pwned=1</script>`,
    `<img\u00a0src=x onerror=window.pwned=1>`,
    `{agent} {name} {n} [agent]`,
    `__proto__`,
    `constructor`,
    `🏳️‍🌈<img src=x onerror=window.pwned=1>👩‍👩‍👧‍👦`,
];
