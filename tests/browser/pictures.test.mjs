/**
 * The pictures of the README. What is on them is a real conversation between the demo's shop and the desk;
 * JONO_WRITE_DOCS=1 takes them anew.
 */

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DEMO, launchBrowser, Party, root, Server, SOON, Widget } from "./kit.mjs";

const FOLDER = join(root, "docs/images");
let server;
let browser;

before(async () => {
    server = await Server.start();
    browser = await launchBrowser();
});
after(async () => {
    await browser?.close();
    await server?.stop();
});

async function page(path, settings) {
    const context = await browser.newContext({ locale: "en-GB", ...settings });
    const page = await context.newPage();
    page.setDefaultTimeout(SOON);
    await page.goto(`${server.origin}${path}`);
    return page;
}

async function take(page, name) {
    const picture = await page.screenshot({ animations: "disabled" });
    assert.ok(picture.length > 10_000, "something is to be seen");
    if (process.env.JONO_WRITE_DOCS) {
        mkdirSync(FOLDER, { recursive: true });
        writeFileSync(join(FOLDER, name), picture);
    }
}

test("the shop beside the desk: a conversation as both see it", async () => {
    for (const [name, queue, message] of [
        ["Mikko", DEMO.sales, "Do you deliver to Rovaniemi?"],
        ["Irina", DEMO.support, "The lamp flickers. What can I do?"],
    ]) {
        const other = await Party.visitor(server, name);
        await other.ask("conversation.start", { queue, message });
    }
    const shop = await page("/demo/", { viewport: { width: 1000, height: 720 } });
    const widget = new Widget(shop);
    await widget.open();
    await widget.start("Hello! Is the oak chair in stock?", "Sales");

    const desk = await page("/desk/", { viewport: { width: 1400, height: 820 } });
    await desk.getByLabel("Password").fill(DEMO.password);
    const login = desk.getByLabel("Name", { exact: true });
    if (await login.count()) await login.fill("anna");
    await desk.getByRole("button", { name: "Sign in" }).click();
    const row = desk.locator("jono-lists a.row", { hasText: "oak chair" });
    await row.click();
    await desk.locator("jono-talk .head").getByRole("button", { name: "Take" }).click();
    const field = desk.locator("jono-composer textarea");
    await field.fill("Hello! Yes, twelve of them. Shall I put one aside for you?");
    await field.press("Enter");
    await widget.sees("Hello! Yes, twelve of them. Shall I put one aside for you?");
    await widget.say("Please do, I will come by on Friday.");
    await desk.locator("jono-talk .log .bubble").getByText("I will come by on Friday.").first().waitFor();

    await take(shop, "widget.png");
    await take(desk, "desk.png");
});
