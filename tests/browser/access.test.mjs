// The widget for everybody: by keyboard, by screen reader, in both themes, on phones.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { axe, DEMO, Network, Party, until, world } from "./kit.mjs";

const at = world({ before, after, afterEach });

const PHONE = { viewport: { width: 375, height: 700 }, isMobile: true, hasTouch: true };

for (const [name, context] of [
    ["light", { colorScheme: "light" }],
    ["dark", { colorScheme: "dark" }],
    ["a phone, dark", { colorScheme: "dark", ...PHONE }],
]) {
    test(`axe finds nothing in any state: ${name}`, async () => {
        const network = await Network.start(at.server);
        const anna = await Party.agent(at.server);
        const { page, widget } = await at.visit({ context, page: { attributes: `data-server="${network.origin}"` } });
        const check = async (state) => assert.deepEqual(await axe(page), [], state);
        await check("closed");
        await anna.ask("queue.close", { queue: DEMO.sales });
        await widget.open();
        await page.locator("jono-chat .card").first().waitFor();
        await check("choosing a queue");
        await anna.ask("queue.open", { queue: DEMO.sales });
        await widget.start("Hello https://example.com");
        await check("waiting");
        const talk = await anna.pick();
        await talk.say("Hello! See https://example.com, or write to mailto:us@example.com.");
        await talk.type(true);
        await widget.shows("Anna is writing");
        await widget.input.fill("Something");
        await check("talking");
        await talk.read((await (await widget.say("Something"), talk.hear("Something"))).seq);
        await page.getByRole("button", { name: "End the conversation" }).click();
        await check("asked whether to end it");
        await page.getByRole("button", { name: "Go on" }).click();
        network.down();
        await widget.say("Lost");
        await widget.shows("No connection.");
        await check("without a connection");
        network.up();
        await page.getByText("No connection.").waitFor({ state: "hidden" });
        await talk.hear("Lost");
        await anna.ask("customer.block", { conversation: talk.conversation, duration_ms: 60_000 });
        await widget.shows("You cannot write here until");
        await check("blocked");
        await anna.ask("customer.unblock", { conversation: talk.conversation });
        await widget.input.waitFor();
        await talk.close();
        await widget.shows("ended the conversation");
        await check("ended");
        await page.locator("jono-chat .mark").nth(2).click();
        await page.locator("jono-chat .ending textarea").waitFor();
        await check("rating");
        await page.getByRole("button", { name: "Send the rating" }).click();
        await widget.shows("Thank you");
        await check("rated");
        network.stop();
        anna.close();
    });
}

test("the end that is near, and a queue that is full, pass axe in both themes", async () => {
    const { settings } = await at.server.admin("GET", `/queues/${DEMO.support}`);
    const anna = await Party.agent(at.server);
    for (const colorScheme of ["light", "dark"]) {
        await at.server.setQueue(DEMO.support, { settings: { ...settings, close_after_ms: 30_000, waiting_max: 0 } });
        const { page, widget } = await at.visit({ context: { colorScheme } });
        await widget.open();
        await page.locator("jono-chat .card", { hasText: "Support" }).click();
        await page.locator("jono-chat .choice .primary").click();
        await widget.shows("the queue is full");
        assert.deepEqual(await axe(page), [], "full");
        await at.server.setQueue(DEMO.support, { settings: { ...settings, close_after_ms: 30_000 } });
        await widget.start("Hello");
        const talk = await anna.pick();
        await widget.shows("Are you still there?");
        assert.deepEqual(await axe(page), [], "deadline");
        await talk.close();
    }
    await at.server.setQueue(DEMO.support, { settings });
    anna.close();
});

test("by keyboard only", async () => {
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit({ page: { body: `<p><a href="#x">A link of the page</a></p>` } });
    const focus = () =>
        page.evaluate(() => {
            let it = document.activeElement;
            while (it?.shadowRoot?.activeElement) it = it.shadowRoot.activeElement;
            return it?.getAttribute("aria-label") ?? (it?.closest("label") ?? it)?.textContent;
        });
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    assert.equal(await focus(), "Open chat");
    await page.keyboard.press("Enter");
    await page.locator("jono-chat .card").first().waitFor();
    await until(async () => /Sales/.test(await focus()), "the focus is in the panel");
    await page.keyboard.press("Escape");
    assert.equal(await widget.panel.isVisible(), false);
    assert.equal(await focus(), "Open chat", "the focus is where it was");
    await page.keyboard.press("Space");
    await until(async () => /Sales/.test(await focus()), "the focus is in the panel again");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Tab");
    await page.keyboard.type("Vera");
    await page.keyboard.press("Tab");
    await page.keyboard.type("Hello");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await widget.sees("Hello");
    const talk = await anna.pick();
    assert.equal((await until(() => anna.events(talk.conversation, "started")[0], "begun")).body.name, "Vera");
    assert.equal(await focus(), "Write a message", "the focus follows");
    await page.keyboard.type("Typed");
    await page.keyboard.press("Enter");
    await talk.hear("Typed");
    await talk.say("See https://example.com");
    await widget.sees("See https://example.com");
    await page.keyboard.press("Shift+Tab");
    assert.equal(await focus(), "https://example.com");
    await page.keyboard.press("Shift+Tab");
    assert.equal(await focus(), "Conversation", "the list can be scrolled");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Shift+Tab");
    assert.equal(await focus(), "End the conversation");
    await page.keyboard.press("Enter");
    assert.equal(await focus(), "Go on", "the harmless answer is the first");
    await page.keyboard.press("Escape");
    assert.equal(await focus(), "End the conversation");
    assert.ok(await widget.panel.isVisible(), "Escape took the question back, and nothing else");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Shift+Tab");
    assert.equal(await focus(), "End it");
    await page.keyboard.press("Enter");
    await widget.shows("You ended the conversation.");
    await until(async () => (await focus()) === "Very bad" || (await focus()) === "So-so", "the focus is on the rating");
    await page.keyboard.press("Space");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Tab");
    await page.keyboard.type("By keys");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    const rated = await until(() => anna.events(talk.conversation, "rated")[0], "rated");
    assert.equal(rated.body.comment, "By keys");
    await until(async () => (await focus()) === "New conversation", "the focus is on what comes next");
    await page.keyboard.press("Enter");
    await until(async () => /Sales|Support/.test(await focus()), "a new beginning");
    anna.close();
});

test("the page's own keys do not hear what is typed in the panel", async () => {
    const head = `<script>window.keys = []; addEventListener("keydown", (event) => keys.push(event.key));</script>`;
    const { page, widget } = await at.visit({ page: { head } });
    await widget.open();
    await page.locator("jono-chat .choice textarea").pressSequentially("abc");
    assert.deepEqual(await page.evaluate(() => window.keys), []);
});

test("on a phone the panel covers the page, Tab stays in it, and it does not come back by itself", async () => {
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit({ context: PHONE, page: { body: `<a href="#x">Behind</a>` } });
    await widget.open();
    await widget.start("Hello");
    const box = await widget.panel.boundingBox();
    assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, 375, 700]);
    assert.equal(await widget.panel.getAttribute("aria-modal"), "true");
    for (let presses = 0; presses < 12; presses++) {
        await page.keyboard.press("Tab");
        assert.equal(await page.evaluate(() => document.activeElement?.localName), "jono-chat");
    }
    const talk = await anna.pick();
    await page.reload();
    await talk.say("Are you there?");
    await page.getByRole("button", { name: "Open chat, 1 unread message" }).waitFor();
    assert.equal(await widget.panel.isVisible(), false);
    anna.close();
});

test("what screen readers are told", async () => {
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit();
    await widget.open();
    await widget.start("Hello");
    const talk = await anna.pick();
    await talk.say("Good day");
    await widget.sees("Good day");
    const log = page.getByRole("log", { name: "Conversation" });
    await log.waitFor();
    const told = await log.innerText();
    assert.match(told, /Anna\s+Good day/, "who said it comes before what was said");
    await page.getByRole("dialog", { name: "Anna" }).waitFor();
    await page.evaluate(() => {
        window.added = 0;
        const log = document.querySelector("jono-chat").shadowRoot.querySelector("[role=log]");
        new MutationObserver((all) => all.forEach((it) => (window.added += it.addedNodes.length))).observe(log, { childList: true });
    });
    await widget.say("Once");
    await talk.hear("Once");
    await page.locator("jono-chat .mine").last().getByText("Delivered").waitFor({ state: "attached" });
    assert.equal(await page.evaluate(() => window.added), 1, "a message of one's own is read out once");
    anna.close();
});
