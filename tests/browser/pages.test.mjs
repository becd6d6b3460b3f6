// The files themselves: types, sizes, languages, headers.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { world } from "./kit.mjs";

const at = world({ before, after, afterEach });

const LOADER_BYTES_MAX = 2 * 1024;
const USABLE_BYTES_MAX = 30 * 1024;

test("the types are right", async () => {
    const here = fileURLToPath(new URL(".", import.meta.url));
    const checked = await promisify(execFile)("node_modules/.bin/tsc", ["-p", "tsconfig.json"], { cwd: here }).catch((error) => error);
    assert.equal(checked.stdout, "");
});

test("the launcher is small, and what makes it usable is not large", async () => {
    for (const locale of ["en", "fi", "ru"]) {
        const sizes = new Map();
        const { context, page, widget } = await at.visit({ page: { attributes: `data-locale="${locale}"` } });
        const measured = [];
        const measure = async (url) => sizes.set(new URL(url).pathname, gzipSync(await (await fetch(url)).text()).length);
        page.on("request", (request) => request.url().startsWith(at.server.origin) && measured.push(measure(request.url())));
        await page.reload();
        await widget.launcher.waitFor();
        await Promise.all(measured);
        assert.deepEqual([...sizes.keys()], ["/widget.js"]);
        assert.ok(sizes.get("/widget.js") <= LOADER_BYTES_MAX, `the launcher has ${sizes.get("/widget.js")} bytes`);
        await widget.open();
        await page.locator("jono-chat .card").first().waitFor();
        await Promise.all(measured);
        const sum = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
        assert.ok(sizes.size > 5 && sum <= USABLE_BYTES_MAX, `${locale}: ${sum} bytes in ${sizes.size} files`);
        console.log(`${locale}: launcher ${sizes.get("/widget.js")} bytes, usable ${sum} bytes, compressed`);
        await context.close();
    }
});

test("every language has every text, with the same places to fill in and all its plural forms", async () => {
    const { page } = await at.visit();
    const { all, rules } = await page.evaluate(async (origin) => {
        const { LANGUAGES } = await import(`${origin}/widget/texts.js`);
        const all = {};
        const rules = {};
        for (const language of LANGUAGES) {
            all[language] = (await import(`${origin}/widget/texts/${language}.js`)).default;
            rules[language] = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
        }
        return { all, rules };
    }, at.server.origin);
    assert.deepEqual(Object.keys(all).sort(), ["en", "fi", "ru"]);
    const places = (text) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();
    for (const [language, texts] of Object.entries(all)) {
        assert.deepEqual(Object.keys(texts), Object.keys(all.en), `${language} has the keys of English, in its order`);
        for (const [key, text] of Object.entries(texts)) {
            const english = all.en[key];
            if (typeof text === "string") {
                assert.ok(text.trim(), `${language}: ${key}`);
                assert.deepEqual(places(text), places(english), `${language}: ${key}`);
                if (language !== "en") assert.notEqual(text, english, `${language}: ${key} is not translated`);
            } else {
                assert.deepEqual(Object.keys(text).sort(), [...rules[language]].sort(), `${language}: ${key}`);
                for (const form of Object.values(text)) assert.ok(places(english.other).length >= places(form).length, `${language}: ${key}`);
            }
        }
        if (language === "ru") assert.ok(!/[a-z]{3}/i.test(Object.values(texts).filter((it) => typeof it === "string").join(" ").replace(/\{\w+\}|Enter|Shift/g, "")));
    }
});

test("every text is used", async () => {
    const { readFileSync, readdirSync } = await import("node:fs");
    const folder = fileURLToPath(new URL("../../gateway/pages/widget/", import.meta.url));
    const code = readdirSync(folder).filter((name) => name.endsWith(".js") && name !== "texts.js").map((name) => readFileSync(folder + name, "utf8")).join("\n");
    const texts = readFileSync(`${folder}texts/en.js`, "utf8");
    const keys = [...texts.matchAll(/^ {4}(\w+):/gm)].map(([, key]) => key);
    const unused = keys.filter((key) => !code.includes(`"${key}"`) && !/^(rate[1-5]|wait\w+)$/.test(key));
    assert.deepEqual(unused, []);
});

test("files say what they are", async () => {
    const get = (path, headers = {}) => fetch(at.server.origin + path, { headers, redirect: "manual" });
    for (const path of ["/widget.js", "/client.js", "/widget/chat.js", "/widget/texts/fi.js"]) {
        const response = await get(path);
        assert.equal(response.status, 200, path);
        assert.equal(response.headers.get("content-type"), "text/javascript; charset=utf-8");
        assert.equal(response.headers.get("x-content-type-options"), "nosniff");
        assert.equal(response.headers.get("access-control-allow-origin"), "*");
        const again = await get(path, { "if-none-match": response.headers.get("etag") });
        assert.equal(again.status, 304, path);
    }
    for (const path of ["/demo/", "/desk/"]) {
        const response = await get(path);
        const policy = response.headers.get("content-security-policy");
        assert.match(policy, /^default-src 'none'; script-src 'self';/);
        assert.ok(!/unsafe|\*/.test(policy), policy);
        assert.match(policy, /frame-ancestors 'none'/);
        assert.match(policy, /require-trusted-types-for 'script'/);
        assert.ok(!/<script(?![^>]*src=)|style=|onclick=/i.test(await response.text()), "nothing inline");
    }
    assert.equal((await get("/demo")).headers.get("location"), "/demo/");
    assert.equal((await get("/widget/../../Cargo.toml")).status, 404);
});

test("the client knows the methods that the server has, and which of them change something", async () => {
    const { readFileSync } = await import("node:fs");
    const read = (path) => readFileSync(fileURLToPath(new URL(`../../gateway/pages/${path}`, import.meta.url)), "utf8");
    const { methods } = await (await fetch(`${at.server.origin}/v1/openrpc.json`)).json();
    const typed = read("protocol.d.ts").match(/export type Methods = \{([\s\S]*?)\n\};/)[1];
    const known = [...typed.matchAll(/^ {4}"?([\w.]+)"?: Method</gm)].map(([, name]) => name);
    const there = methods.map((method) => method.name).filter((name) => name !== "session.open");
    assert.deepEqual(known.sort(), there.sort());
    const listed = read("client.js").match(/const MUTATING = new Set\(\[([\s\S]*?)\]\)/)[1];
    const mutating = [...listed.matchAll(/"([\w.]+)"/g)].map(([, name]) => name);
    assert.deepEqual(mutating.sort(), methods.filter((method) => method["x-mutating"]).map((method) => method.name).sort());
});
