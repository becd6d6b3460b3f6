// The widget as visitors have it: conversations, queues, tabs, losses, and the calls of the page.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { DEMO, Network, Party, until, world } from "./kit.mjs";

const at = world({ before, after, afterEach });

test("a whole conversation, both ways", async () => {
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit();
    await widget.open();
    await widget.start("Hello, is anybody there?");
    await widget.shows("You are next in the queue");
    const talk = await anna.pick();
    await widget.shows("Conversation started. Anna is here to help.");
    await page.locator("jono-chat h2", { hasText: "Anna" }).waitFor();

    await talk.type(true);
    await widget.shows("Anna is writing");
    await talk.say("Hello!\nSee https://example.com/a?b=c, or javascript:alert(1).");
    await widget.sees("Hello!\nSee https://example.com/a?b=c, or javascript:alert(1).");
    await page.getByText("Anna is writing").waitFor({ state: "detached" });
    const links = await page.locator("jono-chat .text a").evaluateAll((all) => all.map((it) => [it.href, it.target, it.rel]));
    assert.deepEqual(links, [["https://example.com/a?b=c", "_blank", "noopener noreferrer nofollow"]]);

    await widget.input.fill("two");
    await widget.input.press("Shift+Enter");
    await widget.input.pressSequentially("lines");
    const typing = await until(() => anna.heard.find((it) => it.method === "typing.changed"), "the agent sees typing");
    assert.equal(typing.params.preview, undefined, "what is not sent is not shown");
    await widget.input.press("Enter");
    const heard = await talk.hear("two\nlines");
    assert.equal(heard.by.kind, "customer");
    const mine = page.locator("jono-chat .mine").last();
    await mine.getByText("Delivered").waitFor({ state: "attached" });
    await talk.read(heard.seq);
    await mine.getByText("Read", { exact: true }).waitFor({ state: "attached" });
    const seen = await until(
        () => anna.heard.find((it) => it.method === "receipt.changed" && it.params.by.kind === "customer"),
        "the agent sees that it was read",
    );
    assert.ok(seen.params.seq > 0);

    await talk.close();
    await widget.shows("Anna ended the conversation.");
    await page.locator("jono-chat .mark").nth(4).click();
    await page.locator("jono-chat .ending textarea").fill("Quick!");
    await page.getByRole("button", { name: "Send the rating" }).click();
    await widget.shows("Thank you for your rating!");
    const rated = await until(() => anna.events(talk.conversation, "rated")[0], "the agent sees the rating");
    assert.deepEqual(rated.body, { rating: 5, comment: "Quick!" });

    await page.getByRole("button", { name: "New conversation" }).click();
    await widget.start("And another thing", "Sales");
    await widget.shows("You are next in the queue");
    assert.deepEqual(page.complaints, []);
    anna.close();
});

test("the visitor ends it, after being asked", async () => {
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit();
    await widget.open();
    await widget.start("One question");
    const talk = await anna.pick();
    await widget.shows("Anna is here to help");
    await page.getByRole("button", { name: "End the conversation" }).click();
    await page.getByRole("button", { name: "Go on" }).click();
    await widget.say("No, wait");
    await talk.hear("No, wait");
    await page.getByRole("button", { name: "End the conversation" }).click();
    await page.getByRole("button", { name: "End it" }).click();
    await widget.shows("You ended the conversation.");
    const closed = await until(() => anna.events(talk.conversation, "closed")[0], "the agent sees the end");
    assert.equal(closed.body.cause, "customer");
    anna.close();
});

test("the position falls as others are served", async () => {
    const anna = await Party.agent(at.server);
    for (const name of ["First", "Second"]) {
        const visitor = await Party.visitor(at.server, name);
        await visitor.ask("conversation.start", { queue: DEMO.support, message: name });
    }
    const { widget } = await at.visit();
    await widget.open();
    await widget.start("Third");
    await widget.shows("You are number 3 in the queue");
    await anna.pick();
    await widget.shows("You are number 2 in the queue");
    await anna.pick();
    await widget.shows("You are next in the queue");
    anna.close();
});

test("released, handed over, moved: the visitor is told each time", async () => {
    const [anna, ben] = [await Party.agent(at.server), await Party.agent(at.server, "ben")];
    const { widget } = await at.visit();
    await widget.open();
    await widget.start("Help");
    const first = await anna.pick();
    await widget.shows("Anna is here to help");
    await first.release();
    await widget.shows("Anna had to go. You are in the queue again");
    await widget.shows("You are next in the queue");
    const second = await anna.pick();
    await anna.ask("conversation.assign", { conversation: second.conversation, claim: second.claim, agent: ben.opened.me.id });
    await widget.shows("Ben continues with you.");
    await ben.ask("conversation.transfer", { conversation: second.conversation, queue: DEMO.sales });
    await widget.shows("You were moved to the queue Sales.");
    for (const party of [anna, ben]) party.close();
});

test("reload, another page and another tab show the same", async () => {
    const anna = await Party.agent(at.server);
    const { context, page, widget } = await at.visit();
    await widget.open();
    await widget.start("Before");
    const talk = await anna.pick();
    await talk.say("Answer");
    await widget.sees("Answer");
    await widget.input.fill("half a sent");
    const before = await widget.texts();

    await page.reload();
    await widget.sees("Answer");
    assert.deepEqual(await widget.texts(), before);
    assert.equal(await widget.input.inputValue(), "half a sent", "what was being written is still there");
    assert.equal(await page.evaluate(() => document.activeElement?.localName), "body", "a page that loads keeps the focus");

    const other = await at.tab(context, at.site.put("/other"));
    assert.equal(await other.widget.panel.isVisible(), false, "each tab has its own panel");
    await other.widget.open();
    await other.widget.sees("Answer");
    assert.deepEqual(await other.widget.texts(), before);
    await other.widget.say("From the other tab");
    await widget.sees("From the other tab");
    await talk.say("Seen in both");
    for (const it of [widget, other.widget]) await it.sees("Seen in both");
    assert.deepEqual(await widget.texts(), await other.widget.texts());
    await page.goto(at.site.put("/third"));
    await widget.sees("Seen in both");
    assert.deepEqual(await widget.texts(), await other.widget.texts());
    assert.equal((await Promise.all([talk.hear("From the other tab")])).length, 1);
    anna.close();
});

test("two tabs opened before anything was said become one visitor", async () => {
    const { context, page, widget } = await at.visit();
    const other = await at.tab(context, at.site.put("/other"));
    for (const it of [widget, other.widget]) await it.open();
    for (const it of [page, other.page]) await it.locator("jono-chat .card").first().waitFor();
    await widget.start("From the first tab");
    await other.widget.sees("From the first tab");
    await other.widget.say("And from the second");
    await widget.sees("And from the second");
});

test("a server with new data: the visitor begins anew", async () => {
    const { page, widget } = await at.visit();
    await widget.open();
    await widget.start("This will be forgotten");
    await at.server.kill();
    at.server.forget();
    await at.server.resume();
    await page.locator("jono-chat .choice .card").first().waitFor({ timeout: 20_000 });
    await widget.start("A new beginning");
    assert.deepEqual(await widget.texts(), ["A new beginning"]);
    assert.deepEqual(page.complaints, []);
});

test("unread messages are counted on the closed launcher, also after a reload", async () => {
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit();
    await widget.open();
    await widget.start("Call me back");
    const talk = await anna.pick();
    await widget.shows("Anna is here to help");
    await page.getByRole("button", { name: "Close chat" }).click();
    await talk.say("One");
    await page.getByRole("button", { name: "Open chat, 1 unread message" }).waitFor();
    await talk.say("Two");
    await page.getByRole("button", { name: "Open chat, 2 unread messages" }).waitFor();
    await page.reload();
    await page.getByRole("button", { name: "Open chat, 2 unread messages" }).waitFor();
    assert.equal(await page.locator("jono-chat .badge").textContent(), "2");
    await widget.open();
    await widget.sees("Two");
    await page.getByRole("button", { name: "Close chat" }).click();
    await page.getByRole("button", { name: "Open chat", exact: true }).waitFor();
    anna.close();
});

test("a cut socket heals: nothing is lost, nothing is said twice", async () => {
    const network = await Network.start(at.server);
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit({ page: { attributes: `data-server="${network.origin}"` } });
    await widget.open();
    await widget.start("Hello");
    const talk = await anna.pick();
    await widget.shows("Anna is here to help");
    for (let round = 1; round <= 3; round++) {
        const [mine, theirs] = [`mine ${round}`, `theirs ${round}`];
        network.down();
        await widget.say(mine);
        await page.locator("jono-chat .mine.unsent").waitFor();
        await talk.say(theirs);
        if (round === 1) await widget.shows("No connection.");
        network.up();
        await widget.sees(theirs);
        await talk.hear(mine);
        await page.locator("jono-chat .mine.unsent").waitFor({ state: "detached" });
        network.cut();
        await widget.say(`${mine}, again`);
        await talk.hear(`${mine}, again`);
    }
    await page.getByText("No connection.").waitFor({ state: "hidden" });
    const said = anna.events(talk.conversation, "message").map((event) => event.body.text);
    await until(async () => (await widget.texts()).length === said.length, "the widget has everything");
    assert.deepEqual(await widget.texts(), said);
    assert.equal(new Set(said).size, said.length, "nothing twice");
    network.stop();
    anna.close();
});

test("what was written without a connection survives a reload", async () => {
    const network = await Network.start(at.server);
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit({ page: { attributes: `data-server="${network.origin}"` } });
    await widget.open();
    await widget.start("Hello");
    const talk = await anna.pick();
    await widget.shows("Anna is here to help");
    network.down();
    await widget.say("written in a tunnel");
    await page.locator("jono-chat .mine.unsent").waitFor();
    network.up();
    await page.reload();
    await talk.hear("written in a tunnel");
    await widget.sees("written in a tunnel");
    assert.equal((await widget.texts()).filter((text) => text === "written in a tunnel").length, 1);
    network.stop();
    anna.close();
});

test("the server is killed and comes back", async () => {
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit();
    await widget.open();
    await widget.start("Hello");
    const talk = await anna.pick();
    await talk.say("Stored");
    await widget.sees("Stored");
    await at.server.kill();
    await widget.say("Said to nobody");
    await widget.shows("No connection.");
    await at.server.resume();
    const again = await Party.agent(at.server);
    const heard = await until(() => again.events(talk.conversation, "message").find((it) => it.body.text === "Said to nobody"), "it arrives", 20_000);
    assert.ok(heard);
    await page.locator("jono-chat .mine.unsent").waitFor({ state: "detached" });
    const said = again.events(talk.conversation, "message").map((event) => event.body.text);
    assert.deepEqual(await widget.texts(), said);
    again.close();
});

test("nothing is stored and no socket opened before it is opened", async () => {
    const { context, page, widget } = await at.visit();
    const sockets = [];
    page.on("websocket", (socket) => sockets.push(socket.url()));
    const asked = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await page.reload();
    await widget.launcher.waitFor();
    await page.evaluate(() => window.Jono.identify({ name: "Vera", email: "vera@example.com" }));
    await page.waitForTimeout(500);
    assert.deepEqual(sockets, []);
    assert.deepEqual(asked.filter((path) => path !== "/" && path !== "/favicon.ico"), ["/widget.js"]);
    const kept = () => page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]);
    assert.deepEqual(await kept(), [[], [], ""]);
    assert.deepEqual(await context.cookies(), []);
    await widget.open();
    await page.locator("jono-chat .card").first().waitFor();
    assert.equal(sockets.length, 1);
    await page.getByRole("button", { name: "Close chat" }).click();
    await page.reload();
    await widget.launcher.waitFor();
    await page.waitForTimeout(300);
    assert.equal(sockets.length, 1, "no conversation is live: no socket on the next page");
});

test("the page's calls, made before and after the script is there", async () => {
    const anna = await Party.agent(at.server);
    const head = `<script>window.Jono = [["identify", { name: "Vera", customer_number: 4711 }], ["setMetadata", { basket: { lamp: 2 } }]];
        window.heard = [];
        for (const name of ["open", "close", "start", "message", "end", "unread", "rate", "connection"])
            Jono.push(["on", name, (value) => heard.push([name, value])]);</script>`;
    const { page, widget } = await at.visit({ page: { head, attributes: `data-queue="${DEMO.support}"` } });
    await page.evaluate(() => window.Jono.send("Sent by the page"));
    const talk = await anna.pick();
    const [started] = await until(() => {
        const found = anna.events(talk.conversation, "started");
        return found.length > 0 && found;
    }, "the beginning");
    assert.equal(started.body.name, "Vera");
    const { metadata } = started.body;
    assert.equal(metadata.customer_number, "4711");
    assert.deepEqual(metadata.basket, { lamp: "2" });
    assert.equal(metadata.page.url, `${at.site.origin}/`);
    assert.equal(metadata.page.title, "Page /");
    assert.equal(metadata.locale, "en");
    assert.equal(await widget.panel.isVisible(), false, "the page may write without opening the panel");

    await page.evaluate(() => window.Jono.setMetadata({ step: "delivery" }));
    await page.evaluate(() => history.pushState({}, "", "/checkout"));
    const changes = () => anna.events(talk.conversation, "metadata").map((event) => event.body.changes);
    await until(() => changes().some((it) => it.step === "delivery"), "metadata of the page");
    await until(() => changes().some((it) => it.page?.url.endsWith("/checkout")), "the page changed");
    at.site.put("/pay");
    await page.goto(`${at.site.origin}/pay`);
    await until(() => changes().some((it) => it.page?.url.endsWith("/pay")), "another page");

    await page.goto(`${at.site.origin}/`);
    await page.evaluate(() => window.Jono.open());
    await widget.sees("Sent by the page");
    await talk.say("An answer");
    await widget.sees("An answer");
    await page.evaluate(() => window.Jono.close());
    assert.equal(await widget.panel.isVisible(), false);
    await talk.close();
    await until(() => page.evaluate(() => heard.some(([name]) => name === "end")), "the page is told the end");
    const heard = await page.evaluate(() => window.heard);
    const names = heard.map(([name]) => name);
    for (const name of ["open", "close", "message", "end", "connection"]) assert.ok(names.includes(name), `${name} in ${names}`);
    const message = heard.find(([name]) => name === "message")[1];
    assert.deepEqual([message.from, message.name, message.text], ["agent", "Anna", "An answer"]);
    anna.close();
});

test("destroy leaves nothing behind", async () => {
    const head = `<script>
        window.left = { listeners: new Set(), timers: new Set() };
        for (const target of [window, document]) {
            const { addEventListener: add, removeEventListener: remove } = target;
            target.addEventListener = function (name, it, options) {
                const key = [name, it];
                left.listeners.add(key);
                options?.signal?.addEventListener("abort", () => left.listeners.delete(key));
                return add.call(this, name, it, options);
            };
            target.removeEventListener = function (name, it, options) {
                for (const key of left.listeners) if (key[0] === name && key[1] === it) left.listeners.delete(key);
                return remove.call(this, name, it, options);
            };
        }
        const { setInterval: begin, clearInterval: end } = window;
        window.setInterval = (...given) => { const id = begin(...given); left.timers.add(id); return id; };
        window.clearInterval = (id) => { left.timers.delete(id); end(id); };
    </script>`;
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit({ page: { head } });
    let open = 0;
    page.on("websocket", (socket) => {
        open += 1;
        socket.on("close", () => (open -= 1));
    });
    await widget.open();
    await widget.start("Hello");
    await anna.pick();
    await widget.shows("Anna is here to help");
    assert.equal(open, 1);
    await page.evaluate(() => window.Jono.destroy());
    await until(() => open === 0, "the socket is closed");
    const left = await page.evaluate(() => ({
        elements: document.querySelectorAll("jono-chat").length,
        global: "Jono" in window,
        stored: [...Object.keys(localStorage), ...Object.keys(sessionStorage)],
        listeners: [...left.listeners].map(([name]) => name),
        timers: left.timers.size,
        sheets: document.adoptedStyleSheets.length,
    }));
    assert.deepEqual(left, { elements: 0, global: false, stored: [], listeners: [], timers: 0, sheets: 0 });
    await page.waitForTimeout(300);
    assert.deepEqual(await page.evaluate(() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)]), []);
    assert.deepEqual(page.complaints, []);
    anna.close();
});

test("the element by itself, moved and put back", async () => {
    const { page, widget } = await at.visit();
    await page.evaluate(() => window.Jono.destroy());
    await page.evaluate((server) => {
        const chat = document.createElement("jono-chat");
        chat.setAttribute("site", "demo");
        chat.setAttribute("locale", "fi");
        chat.setAttribute("server", server);
        document.querySelector("main").append(chat);
    }, at.server.origin);
    await page.getByRole("button", { name: "Avaa chat" }).waitFor();
    await widget.open();
    await widget.start("Hei");
    await page.evaluate(() => document.body.append(document.querySelector("jono-chat")));
    await widget.sees("Hei");
    assert.equal(await page.locator("jono-chat .panel").count(), 1);
    assert.deepEqual(page.complaints, []);
});

test("closed and full queues, and a block, are said", async () => {
    const anna = await Party.agent(at.server);
    await anna.ask("queue.close", { queue: DEMO.sales });
    const { page, widget } = await at.visit();
    await widget.open();
    await page.locator("jono-chat .card", { hasText: "Sales" }).getByText("Closed").waitFor();
    assert.ok(await page.locator("jono-chat .card input").first().isDisabled());
    await anna.ask("queue.close", { queue: DEMO.support });
    await page.locator("jono-chat .choice .primary").click();
    await widget.shows("We are closed just now.");
    for (const queue of [DEMO.sales, DEMO.support]) await anna.ask("queue.open", { queue });

    const { settings } = await at.server.admin("GET", `/queues/${DEMO.support}`);
    await at.server.setQueue(DEMO.support, { settings: { ...settings, waiting_max: 0 } });
    await page.reload();
    await widget.open();
    await page.locator("jono-chat .card", { hasText: "Support" }).click();
    await page.locator("jono-chat .choice .primary").click();
    await widget.shows("the queue is full");
    await at.server.setQueue(DEMO.support, { settings });

    await widget.start("Something rude");
    const talk = await anna.pick();
    await anna.ask("customer.block", { conversation: talk.conversation, duration_ms: 3_600_000 });
    await widget.shows(/You cannot write here until/);
    assert.equal(await widget.input.isVisible(), false);
    await anna.ask("customer.unblock", { conversation: talk.conversation });
    await widget.input.waitFor();
    anna.close();
});

test("still there? The warning counts down, and an answer keeps the conversation", async () => {
    const anna = await Party.agent(at.server);
    const { settings } = await at.server.admin("GET", `/queues/${DEMO.support}`);
    await at.server.setQueue(DEMO.support, { settings: { ...settings, close_after_ms: 6_000, warn_before_ms: 5_000 } });
    const { page, widget } = await at.visit();
    await widget.open();
    await widget.start("Hello");
    await anna.pick();
    await widget.shows(/Are you still there\? The conversation ends in 0:0\d/);
    await page.getByRole("button", { name: "I am here" }).click();
    await page.waitForTimeout(4_000);
    assert.equal(await page.getByText("had been quiet").count(), 0);
    await widget.shows("it had been quiet for long");
    await at.server.setQueue(DEMO.support, { settings });
    anna.close();
});
