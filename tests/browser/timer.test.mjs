// A deadline seen by the visitor. On a server of its own: the shortened setting holds for every conversation there.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { DEMO, Party, until, world } from "./kit.mjs";

const at = world({ before, after, afterEach });

test("released by the timer: the visitor is told, and is first in the queue again", async () => {
    const settings = async (changes) => {
        const { settings } = await at.server.admin("GET", `/queues/${DEMO.support}`);
        await at.server.setQueue(DEMO.support, { settings: { ...settings, ...changes } });
    };
    await settings({ release_after_ms: 1_500 });
    const anna = await Party.agent(at.server);
    const { widget } = await at.visit();
    await widget.open();
    await widget.start("Are you there?");
    const talk = await anna.pick();
    await widget.shows("Anna had to go. You are in the queue again");
    await widget.shows("You are next in the queue");
    const [released] = await until(() => {
        const released = anna.events(talk.conversation, "released");
        return released.length > 0 && released;
    }, "anna hears of it");
    assert.equal(released.body.cause, "inactive");
    await settings({ release_after_ms: 300_000 });
    anna.close();
});
