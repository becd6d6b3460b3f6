/**
 * What the browser tests share: the real server on a free port with data of its own, Chromium, and a
 * plain client of the protocol to play agents and visitors with.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { connect as connectTo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** The program under test. */
const PROGRAM = process.env.JONO_TEST_PROGRAM ?? join(root, "target/debug/jono");
/** Debian's. */
const CHROMIUM = process.env.JONO_TEST_CHROMIUM ?? "/usr/bin/chromium";

export const DEMO = {
    organisation: "org_demoaaaaaaaaaaaaaaaaaaaaaa",
    site: "demo",
    sales: "q_demosalesaaaaaaaaaaaaaaaaa",
    support: "q_demosupportaaaaaaaaaaaaaaa",
    password: "demo-demo",
    token: (login) => `jat_demo-${login}`,
};

/** How long anything may take before a test fails, ms. */
export const SOON = 10_000;

/**
 * Waits until `check` gives something.
 * @template T
 * @param {() => T | Promise<T>} check
 * @param {string} what
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(check, what = String(check), withinMs = SOON) {
    const end = Date.now() + withinMs;
    for (;;) {
        const found = await check();
        if (found) return found;
        if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
}

/** The server with the demo organisation, on a free port. */
export class Server {
    static async start() {
        const server = new Server();
        server.data = mkdtempSync(join(tmpdir(), "jono-browser-"));
        server.port = await freePort();
        await server.resume();
        return server;
    }

    get origin() {
        return `http://127.0.0.1:${this.port}`;
    }

    get socketUrl() {
        return `ws://127.0.0.1:${this.port}/v1/ws`;
    }

    /** Starts it again over the same data. */
    async resume() {
        const settings = ["serve", "--demo", "--no-bots", "--listen", `127.0.0.1:${this.port}`, "--data", this.data, ...(this.flags ?? [])];
        this.process = spawn(PROGRAM, settings, { stdio: ["ignore", "pipe", "pipe"] });
        this.said = "";
        for (const stream of [this.process.stdout, this.process.stderr]) stream.on("data", (text) => (this.said += text));
        await until(async () => {
            if (this.process.exitCode !== null) throw new Error(`the server ended: ${this.said}`);
            return (await fetch(`${this.origin}/readyz`).catch(() => undefined))?.ok;
        }, "the server is ready");
    }

    /** As a power cut would. */
    async kill() {
        this.process.kill("SIGKILL");
        await once(this.process, "exit");
    }

    /** Its data are gone. */
    forget() {
        rmSync(this.data, { recursive: true, force: true });
    }

    async stop() {
        if (this.process.exitCode === null && this.process.signalCode === null) {
            this.process.kill("SIGTERM");
            await once(this.process, "exit");
        }
        rmSync(this.data, { recursive: true, force: true });
    }

    /** The admin API as the demo's operator. */
    async admin(method, path, body) {
        const response = await fetch(`${this.origin}/v1/organisations/${DEMO.organisation}${path}`, {
            method,
            headers: { authorization: `Bearer ${DEMO.token("olivia")}`, ...(body ? { "content-type": "application/json" } : {}) },
            body: body ? JSON.stringify(body) : undefined,
        });
        const text = await response.text();
        if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
        return text ? JSON.parse(text) : undefined;
    }

    /** Changes settings of a queue. */
    async setQueue(queue, changes) {
        const { id: _, ...now } = await this.admin("GET", `/queues/${queue}`);
        return this.admin("PUT", `/queues/${queue}`, { ...now, ...changes });
    }
}

async function freePort() {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address();
    server.close();
    return port;
}

/** A network between browser and server that can be cut. */
export class Network {
    static async start(server) {
        const network = new Network();
        network.pairs = new Set();
        network.isDown = false;
        network.tcp = createTcpServer((near) => {
            if (network.isDown) return near.destroy();
            const far = connectTo(server.port, "127.0.0.1");
            const pair = [near, far];
            network.pairs.add(pair);
            const end = () => {
                for (const socket of pair) socket.destroy();
                network.pairs.delete(pair);
            };
            for (const socket of pair) socket.on("error", end).on("close", end);
            near.pipe(far).pipe(near);
        }).listen(0, "127.0.0.1");
        await once(network.tcp, "listening");
        network.port = network.tcp.address().port;
        return network;
    }

    get origin() {
        return `http://127.0.0.1:${this.port}`;
    }

    /** Ends every connection; new ones come through. */
    cut() {
        for (const pair of this.pairs) for (const socket of pair) socket.destroy();
    }

    /** Nothing comes through until `up`. */
    down() {
        this.isDown = true;
        this.cut();
    }

    up() {
        this.isDown = false;
    }

    stop() {
        this.cut();
        this.tcp.close();
    }
}

/** Launches Chromium without anything that reaches out by itself. */
export function launchBrowser() {
    return chromium.launch({
        executablePath: CHROMIUM,
        headless: true,
        args: [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
        ],
    });
}

/** A session of the protocol, opened by the test: an agent or a visitor. */
export class Party {
    #next = 1;
    #asked = new Map();
    /** Every notification: `{ method, params }`. */
    heard = [];

    static async open(server, params) {
        const party = new Party();
        party.socket = new WebSocketClient(server.socketUrl);
        party.socket.onmessage = ({ data }) => party.#receive(JSON.parse(data));
        await new Promise((resolve, reject) => {
            party.socket.onopen = resolve;
            party.socket.onerror = reject;
        });
        party.opened = await party.ask("session.open", params);
        return party;
    }

    static agent(server, login = "anna") {
        return Party.open(server, { role: "agent", token: DEMO.token(login) });
    }

    static visitor(server, name) {
        return Party.open(server, { role: "customer", site: DEMO.site, name });
    }

    #receive(said) {
        if (said.method) return void this.heard.push(said);
        const { resolve, reject } = this.#asked.get(said.id);
        this.#asked.delete(said.id);
        if (said.error) reject(Object.assign(new Error(JSON.stringify(said.error)), said.error.data));
        else resolve(said.result);
    }

    ask(method, params = {}) {
        const id = this.#next++;
        return new Promise((resolve, reject) => {
            this.#asked.set(id, { resolve, reject });
            this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
        });
    }

    /** Takes the next customer of a queue as soon as there is one; the answer talks to them. */
    async pick(queue = DEMO.support) {
        const { conversation, claim } = await until(
            () => this.ask("queue.pick", { queue }).catch((error) => (error.reason === "queue_empty" ? undefined : Promise.reject(error))),
            `somebody waits in ${queue}`,
        );
        const holding = { conversation, claim };
        return {
            conversation,
            claim,
            say: (text) => this.ask("message.send", { ...holding, text }),
            type: (typing) => this.ask("typing.set", { conversation, typing }),
            read: (seq) => this.ask("receipt.read", { conversation, seq }),
            close: () => this.ask("conversation.close", holding),
            release: () => this.ask("conversation.release", holding),
            /** Waits for a message of the customer. */
            hear: (text) => until(() => this.events(conversation, "message").find((event) => event.body.text === text), `hears ${text}`),
        };
    }

    events(conversation, type) {
        const events = this.heard.filter((it) => it.method === "conversation.event").map((it) => it.params);
        return events.filter((event) => event.conversation === conversation && (!type || event.type === type));
    }

    close() {
        this.socket.close();
    }
}

// Node 20 has a WebSocket client only behind a flag; this one is playwright's.
const { ws } = await import("playwright-core/lib/utilsBundle");
class WebSocketClient extends ws {}

/** A page of a site that embeds the widget, served by another origin than the widget's. */
export class Site {
    static async start(server) {
        const site = new Site();
        site.server = server;
        /** @type {Map<string, { headers?: Record<string, string>, html: string }>} by path */
        site.pages = new Map();
        site.reports = [];
        site.http = createServer((request, response) => site.#serve(request, response)).listen(0, "127.0.0.1");
        await once(site.http, "listening");
        site.origin = `http://127.0.0.1:${site.http.address().port}`;
        return site;
    }

    /** The line that a site puts into its pages. */
    embed(attributes = "") {
        return `<script async src="${this.server.origin}/widget.js" data-site="${DEMO.site}" ${attributes}></script>`;
    }

    /** A page with the widget. */
    put(path, { head = "", body = "", attributes = "", headers = {}, lang = "en" } = {}) {
        const html = `<!doctype html><html lang="${lang}"><head><meta charset="utf-8"><title>Page ${path}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">${head}${this.embed(attributes)}</head>
<body><main><h1>Page ${path}</h1>${body}</main></body></html>`;
        this.pages.set(path, { headers, html });
        return this.origin + path;
    }

    #serve(request, response) {
        const chunks = [];
        request.on("data", (chunk) => chunks.push(chunk));
        request.on("end", () => {
            if (request.method === "POST") this.reports.push(Buffer.concat(chunks).toString());
            const page = this.pages.get(new URL(request.url, this.origin).pathname);
            if (!page) return response.writeHead(request.method === "POST" ? 204 : 404).end();
            response.writeHead(200, { "content-type": page.kind ?? "text/html; charset=utf-8", ...page.headers }).end(page.html);
        });
    }

    stop() {
        this.http.closeAllConnections();
        this.http.close();
    }
}

/** The widget on a page, as its user has it. Playwright looks into open shadow roots by itself. */
export class Widget {
    constructor(page) {
        this.page = page;
        this.launcher = page.locator("jono-chat .launcher");
        this.panel = page.locator("jono-chat .panel");
        this.log = page.locator("jono-chat .log");
        this.input = page.locator("jono-chat .composer textarea");
        this.messages = page.locator("jono-chat .message .text");
    }

    async open() {
        await this.launcher.click();
        await this.panel.waitFor();
    }

    /** Begins a conversation in a queue. */
    async start(text, queue = "Support") {
        await this.panel.locator(".card", { hasText: queue }).click();
        await this.panel.locator(".choice textarea").fill(text);
        await this.panel.locator(".choice .primary").click();
        await this.sees(text);
    }

    async say(text) {
        await this.input.fill(text);
        await this.input.press("Enter");
    }

    /** Waits for a message. */
    async sees(text) {
        await this.messages.getByText(text, { exact: true }).first().waitFor({ timeout: SOON });
    }

    /** Waits for any text in the panel. */
    async shows(text) {
        await this.panel.getByText(text).first().waitFor({ timeout: SOON });
    }

    /** All messages as they stand, in order. */
    texts() {
        return this.messages.allTextContents();
    }
}

/**
 * A server, a browser and a site for the tests of one file; all is ended afterwards.
 * @param {{ before: Function, after: Function, afterEach: Function }} runner
 */
export function world({ before, after, afterEach }) {
    const made = {};
    const contexts = [];
    before(async () => {
        made.server = await Server.start();
        made.browser = await launchBrowser();
        made.site = await Site.start(made.server);
        // A new visitor on a page of the site; pages of one context are tabs.
        made.visit = async ({ path = "/", page = {}, context: settings = {} } = {}) => {
            const context = await made.browser.newContext({ viewport: { width: 1000, height: 760 }, locale: "en-GB", ...settings });
            contexts.push(context);
            return made.tab(context, made.site.put(path, page));
        };
        made.tab = async (context, url) => {
            const page = await context.newPage();
            page.setDefaultTimeout(SOON);
            page.complaints = complaintsOf(page);
            await page.goto(url);
            const widget = new Widget(page);
            await widget.launcher.waitFor({ state: "attached" });
            return { context, page, widget };
        };
    });
    afterEach(async () => {
        await Promise.all(contexts.splice(0).map((context) => context.close()));
        // Nobody is left waiting for the next test.
        for (const queue of [DEMO.support, DEMO.sales]) {
            const agent = await Party.agent(made.server, "olivia");
            for (const view of ["open"]) {
                const { conversations } = await agent.ask("conversation.list", { view, queue });
                for (const { id, state } of conversations) {
                    if (state === "waiting") await agent.ask("conversation.claim", { conversation: id });
                    await agent.ask("conversation.close", { conversation: id }).catch(() => {});
                }
            }
            agent.close();
        }
    });
    after(async () => {
        await made.browser?.close();
        made.site?.stop();
        await made.server?.stop();
    });
    return made;
}

/** What a page says about itself that it should not: errors, and violations of its policies. */
export function complaintsOf(page) {
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
        const isNetwork = /WebSocket connection|Failed to load resource|ERR_/.test(message.text());
        if (message.type() === "error" && !isNetwork) complaints.push(message.text());
    });
    return complaints;
}

const axeSource = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

/** What axe finds against WCAG 2.2 AA, one line each. `Page.evaluate` is not bound to the page's policy. */
export async function axe(page, within = "html") {
    // Colours in the middle of a transition are nobody's.
    await page.evaluate(() => {
        const roots = [document, ...[...document.querySelectorAll("*")].map((it) => it.shadowRoot).filter(Boolean)];
        const ending = roots.flatMap((it) => it.getAnimations()).filter((it) => it.effect.getTiming().iterations !== Infinity);
        return Promise.all(ending.map((it) => it.finished.catch(() => {})));
    });
    if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axeSource);
    const found = await page.evaluate(async (within) => {
        const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
        const { violations } = await globalThis.axe.run(within, { runOnly: { type: "tag", values: tags } });
        return violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.target.flat().join(" ")} ${node.any[0]?.message ?? ""}`));
    }, within);
    return found;
}
