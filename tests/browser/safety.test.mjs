// What people write stays text, and the widget lives under the strictest policies.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { DEMO, Party, until, world } from "./kit.mjs";
import { PAYLOADS } from "./payloads.mjs";

const at = world({ before, after, afterEach });

/** Set by a payload that ran. */
const WATCH = `<script>window.ran = []; for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = (text) => ran.push(name + text);</script>`;

test("sixty and more injections are shown as text, from both sides", async () => {
    assert.ok(PAYLOADS.length >= 60, `${PAYLOADS.length}`);
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit({ page: { head: WATCH } });
    const foreign = [];
    page.on("request", (request) => {
        if (!request.url().startsWith(at.site.origin) && !request.url().startsWith(at.server.origin)) foreign.push(request.url());
    });
    await widget.open();
    await widget.start("Ready");
    const talk = await anna.pick();
    await widget.shows("Anna is here to help");
    for (const [index, payload] of PAYLOADS.entries()) {
        await talk.say(payload);
        // A visitor's writes are rated: half of them are enough to see that both sides are alike.
        if (index % 2 === 0) await page.evaluate((text) => window.Jono.send(text), payload);
    }
    const said = () => anna.events(talk.conversation, "message").map((event) => event.body.text);
    const count = 1 + PAYLOADS.length + Math.ceil(PAYLOADS.length / 2);
    await until(() => said().length === count, "everything is stored", 60_000);
    await until(async () => (await widget.texts()).length === count, "everything is shown");
    assert.deepEqual(await widget.texts(), said());
    const made = await page.locator("jono-chat .text *").evaluateAll((all) => all.map((it) => [it.localName, it.getAttribute("href")]));
    for (const [name, href] of made) {
        assert.equal(name, "a");
        assert.match(href, /^(https?:\/\/|mailto:)/i);
    }
    // The links are followed, as far as they lead away only.
    assert.deepEqual(await page.evaluate(() => window.ran), []);
    assert.deepEqual(foreign, []);
    assert.deepEqual(page.complaints, []);
    anna.close();
});

test("injections in the names of agents, queues and visitors are shown as text", async () => {
    const { id: anna, ...account } = (await at.server.admin("GET", "/agents")).items.find((it) => it.login === "anna");
    const queue = await at.server.admin("GET", `/queues/${DEMO.support}`);
    for (const payload of PAYLOADS.filter((it) => Buffer.byteLength(it) <= 190 && !/[\n\r\0]/.test(it)).filter((_, index) => index % 9 === 0)) {
        await at.server.admin("PUT", `/agents/${anna}`, { ...given(account), name: payload });
        await at.server.setQueue(DEMO.support, { name: payload });
        const agent = await until(() => Party.agent(at.server).catch(() => undefined), "the agent is back");
        const { context, page, widget } = await at.visit({ page: { head: WATCH } });
        await widget.open();
        await page.locator("jono-chat .card").first().waitFor();
        const names = await page.locator("jono-chat .card span").allTextContents();
        assert.ok(names.includes(payload.trim()) || names.includes(payload), `${payload} in ${names}`);
        await page.locator("jono-chat .card").filter({ hasNotText: "Sales" }).click();
        await page.locator("jono-chat .choice input[autocomplete=name]").fill(payload);
        await page.evaluate((payload) => window.Jono.setMetadata({ [payload.slice(0, 30)]: payload, group: { [payload.slice(0, 30)]: payload } }), payload);
        await page.locator("jono-chat .choice textarea").fill("Hello");
        await page.locator("jono-chat .choice .primary").click();
        await widget.sees("Hello").catch(async (error) => assert.fail(`${payload}: ${await widget.panel.innerText()} ${error}`));
        const talk = await agent.pick();
        await talk.say("Hi");
        await widget.sees("Hi");
        const shown = await page.evaluate(() => {
            const root = document.querySelector("jono-chat").shadowRoot;
            const odd = [...root.querySelectorAll("*")].map((it) => it.localName).filter((it) => /script|img|iframe|object|embed|style|link|base|form[a-z]|video|audio/.test(it));
            return { title: root.querySelector("h2").textContent, author: root.querySelector(".message:not(.mine) .author").textContent, odd };
        });
        assert.deepEqual([shown.title.trim(), shown.author.trim(), shown.odd], [payload.trim(), payload.trim(), []]);
        assert.deepEqual(await page.evaluate(() => window.ran), []);
        assert.deepEqual(page.complaints, []);
        await talk.close();
        agent.close();
        await context.close();
    }
    await at.server.admin("PUT", `/agents/${anna}`, given(account));
    await at.server.setQueue(DEMO.support, { name: queue.name });
});

/** What may be put, of what is shown. */
function given({ name, kind, role, queues, login, disabled }) {
    return { name, kind, role, queues, login, ...(disabled === undefined ? {} : { disabled }) };
}

test("a strict policy and Trusted Types: a whole conversation without a violation", async () => {
    const { origin, socketUrl } = at.server;
    const policy = [
        "default-src 'none'",
        `script-src ${origin}`,
        `connect-src ${new URL(socketUrl).origin.replace("http", "ws")}`,
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "report-uri /reports",
    ].join("; ");
    const anna = await Party.agent(at.server);
    const { page, widget } = await at.visit({ path: "/strict", page: { headers: { "content-security-policy": policy } } });
    await widget.open();
    await widget.start("Is this strict enough?");
    const talk = await anna.pick();
    await talk.type(true);
    await widget.shows("Anna is writing");
    await talk.say("See https://example.com");
    await widget.sees("See https://example.com");
    await widget.say("Thanks");
    await talk.hear("Thanks");
    await page.reload();
    await widget.sees("Thanks");
    await talk.close();
    await widget.shows("ended the conversation");
    await page.locator("jono-chat .mark").nth(4).click();
    await page.getByRole("button", { name: "Send the rating" }).click();
    await widget.shows("Thank you");
    assert.deepEqual(at.site.reports, []);
    assert.deepEqual(page.complaints, []);
    const shown = await page.locator("jono-chat .panel").evaluate((panel) => getComputedStyle(panel).borderRadius);
    assert.notEqual(shown, "0px", "the styles are there");
    anna.close();
});

test("the demo keeps its own policy, from page to page", async () => {
    const anna = await Party.agent(at.server);
    const context = await at.browser.newContext({ locale: "en-GB" });
    const { page, widget } = await at.tab(context, `${at.server.origin}/demo/`);
    await page.getByRole("link", { name: /Kajo/ }).first().click();
    await page.getByRole("button", { name: "Add to the basket" }).click();
    await page.getByRole("button", { name: "Ask about it" }).click();
    await widget.panel.waitFor();
    await widget.start("Is it bright?");
    const talk = await anna.pick();
    const { metadata } = (await until(() => anna.events(talk.conversation, "started")[0], "the beginning")).body;
    assert.deepEqual([metadata.basket, metadata.asks_about], [{ Kajo: "1" }, "Kajo"]);
    await page.getByRole("link", { name: "Tuokio" }).first().click();
    await widget.sees("Is it bright?");
    await until(
        () => anna.events(talk.conversation, "metadata").some((event) => event.body.changes.page?.url.endsWith("/demo/chair.html")),
        "the agent sees the other page",
    );
    assert.deepEqual(page.complaints, []);
    await context.close();
    anna.close();
});
