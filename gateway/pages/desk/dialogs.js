/**
 * Questions that are asked before something is done, and the help. All are native modal dialogs: the focus
 * stays inside, Escape closes, and it goes back to where it was.
 *
 * @module
 */

import { attribute, button, h, icon, keyed, text } from "./dom.js";
import { LANGUAGES, lasted, t } from "./i18n.js";
import { FIELD_KEYS, KEYS } from "./keys.js";
import * as store from "./store.js";

/**
 * @typedef {import("./work.js").Work} Work
 * @typedef {import("../protocol").Canned} Canned
 */

const MINUTE_MS = 60_000;
const BLOCKS_MS = [15 * MINUTE_MS, 60 * MINUTE_MS, 24 * 60 * MINUTE_MS, 7 * 24 * 60 * MINUTE_MS];
const WORD_BYTES_MAX = 64;

/**
 * @param {string} title
 * @param {(Node | string | null | false)[]} content
 * @param {{wide?: boolean}} [options]
 */
function dialog(title, content, { wide = false } = {}) {
    const close = button({
        icon: "close",
        label: t("dialog_close"),
        class: "dialog-close",
        quiet: true,
        on: () => element.close(),
    });
    const element = h(
        "dialog",
        { class: wide ? "wide" : "", "aria-label": title },
        h("header", {}, h("h2", {}, title), close),
        ...content,
    );
    element.addEventListener("close", () => element.remove());
    element.addEventListener("click", (event) => {
        // Only the backdrop is the dialog itself.
        if (event.target === element) element.close();
    });
    document.body.append(element);
    element.showModal();
    return element;
}

/** Is a dialog open? */
export function isOpen() {
    return document.querySelector("dialog[open]") !== null;
}

/**
 * @param {string} title
 * @param {string} question
 * @param {string} yes
 * @param {() => void} on
 */
function confirm(title, question, yes, on) {
    const go = button({
        label: yes,
        class: "primary",
        autofocus: true,
        on: () => {
            element.close();
            on();
        },
    });
    const element = dialog(title, [
        h("p", {}, question),
        h("div", { class: "buttons" }, button({ label: t("cancel"), on: () => element.close() }), go),
    ]);
    go.focus();
}

/**
 * @param {Work} work
 * @param {string} id
 */
export function close(work, id) {
    const name = work.state.rows.get(id)?.customer.name || t("nameless");
    confirm(t("close_title"), t("close_question", { name }), t("close"), () => void work.close(id));
}

/**
 * @param {Work} work
 * @param {string} id
 */
export async function assign(work, id) {
    const row = work.state.rows.get(id);
    if (!row) return;
    const list = h("ul", { class: "choices" });
    const status = h("p", { class: "empty", role: "status" }, t("loading"));
    const element = dialog(t(store.isMine(work.state, row) ? "hand_over" : "assign"), [status, list]);
    const agents = await work.colleagues(row.queue);
    const there = agents.filter((agent) => agent.status === "online").sort((a, b) => a.name.localeCompare(b.name));
    text(status, there.length > 0 ? t("assign_hint") : t("empty_colleagues"));
    for (const agent of there) {
        const choose = () => {
            element.close();
            void work.assign(id, agent.id, agent.name);
        };
        const badge =
            agent.kind === "bot" ? h("span", { class: "badge" }, t("bot")) : h("span", { class: "hint" }, t("status_online"));
        list.append(
            h("li", {}, h("button", { type: "button", on: { click: choose } }, icon("person"), h("span", {}, agent.name), badge)),
        );
    }
    list.querySelector("button")?.focus();
}

/**
 * @param {Work} work
 * @param {string} id
 */
export function transfer(work, id) {
    const row = work.state.rows.get(id);
    if (!row) return;
    const others = store.queues(work.state).filter((queue) => queue.id !== row.queue);
    const note = h("textarea", { rows: 3, class: "note-field" });
    const list = h("ul", { class: "choices" });
    const element = dialog(t("transfer"), [
        h("p", { class: "hint" }, others.length > 0 ? t("transfer_hint") : t("empty_targets")),
        others.length > 0 && h("label", { class: "field" }, h("span", {}, t("transfer_note")), note),
        list,
    ]);
    for (const queue of others) {
        const choose = () => {
            element.close();
            void work.transfer(id, queue.id, queue.name, note.value.trim());
        };
        const hint = queue.open ? t("waiting", { n: queue.waiting ?? 0 }) : t("queue_is_closed");
        list.append(
            h(
                "li",
                {},
                h(
                    "button",
                    { type: "button", disabled: !queue.open, on: { click: choose } },
                    icon("move"),
                    h("span", {}, queue.name),
                    h("span", { class: "hint" }, hint),
                ),
            ),
        );
    }
    /** @type {HTMLElement | null} */ (list.querySelector("button:not(:disabled)"))?.focus();
}

/**
 * @param {Work} work
 * @param {string} id
 */
export function block(work, id) {
    const name = work.state.rows.get(id)?.customer.name || t("nameless");
    const list = h("ul", { class: "choices" });
    const element = dialog(t("block_title"), [h("p", { class: "hint" }, t("block_hint", { name })), list]);
    for (const duration of [...BLOCKS_MS, undefined]) {
        const choose = () => {
            element.close();
            void work.block(id, duration);
        };
        const label = duration === undefined ? t("block_forever") : t("block_for", { time: lasted(duration) });
        list.append(h("li", {}, h("button", { type: "button", on: { click: choose } }, icon("block"), h("span", {}, label))));
    }
}

/** The keyboard map. @param {boolean} isOn */
export function help(isOn) {
    const row = (/** @type {string} */ key, /** @type {string} */ what) =>
        h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what));
    dialog(
        t("help"),
        [
            !isOn && h("p", { class: "hint" }, t("keys_off")),
            h("h3", {}, t("keys_anywhere")),
            h("dl", { class: "keys" }, ...KEYS.map(({ key, action }) => row(key, t(`key_${action}`)))),
            h("h3", {}, t("keys_field")),
            h("dl", { class: "keys" }, ...FIELD_KEYS.map((key) => row(t(`field_${key}_key`), t(`field_${key}`)))),
        ],
        { wide: true },
    );
}

/**
 * @param {import("./settings.js").Settings} settings
 * @param {(change: Partial<import("./settings.js").Settings>) => void} on
 * @param {Work} work
 */
export function settings(settings, on, work) {
    const language = h("select", {}, h("option", { value: "" }, t("language_auto")));
    for (const [tag, name] of Object.entries(LANGUAGES)) language.append(h("option", { value: tag, lang: tag }, name));
    language.value = settings.language;
    const theme = h("select", {});
    for (const one of ["auto", "light", "dark"]) theme.append(h("option", { value: one }, t(`theme_${one}`)));
    theme.value = settings.theme;
    language.addEventListener("change", () => {
        element.close();
        on({ language: /** @type {any} */ (language.value) });
    });
    theme.addEventListener("change", () => on({ theme: /** @type {any} */ (theme.value) }));
    const check = (/** @type {"sound" | "notifications" | "keys"} */ name, /** @type {string} */ label) => {
        const box = h("input", { type: "checkbox" });
        box.checked = settings[name];
        box.addEventListener("change", () => on({ [name]: box.checked }));
        return h("label", { class: "check" }, box, h("span", {}, label));
    };
    const element = dialog(t("settings"), [
        h("p", { class: "hint" }, t("signed_in_as", { name: work.state.me?.name })),
        h("label", { class: "field" }, h("span", {}, t("language")), language),
        h("label", { class: "field" }, h("span", {}, t("theme")), theme),
        check("sound", t("setting_sound")),
        check("notifications", t("setting_notifications")),
        check("keys", t("setting_keys")),
        h(
            "div",
            { class: "buttons" },
            button({
                icon: "edit",
                label: t("manage_canned"),
                on: () => {
                    element.close();
                    canned(work);
                },
            }),
            button({
                label: t("sign_out"),
                on: () => {
                    element.close();
                    work.signOut();
                },
            }),
        ),
    ]);
}

/**
 * Making, changing and removing canned messages.
 *
 * @param {Work} work
 */
export function canned(work) {
    const isOperator = work.state.me?.role === "operator";
    const keyword = h("input", { autocomplete: "off", spellcheck: "false", maxlength: WORD_BYTES_MAX });
    const message = h("textarea", { rows: 4 });
    const shared = h("input", { type: "checkbox" });
    const problem = h("p", { class: "problem", role: "alert" });
    const list = h("ul", { class: "canned-edit" });
    const form = h(
        "form",
        { novalidate: true },
        h("label", { class: "field" }, h("span", {}, t("canned_keyword")), keyword),
        h("label", { class: "field" }, h("span", {}, t("canned_text")), message),
        h("p", { class: "hint" }, t("canned_hint")),
        isOperator && h("label", { class: "check" }, shared, h("span", {}, t("canned_shared"))),
        problem,
        h("div", { class: "buttons" }, h("button", { type: "submit", class: "button primary" }, t("canned_save"))),
    );
    const draw = () => {
        const all = [...work.state.canned].sort((a, b) => a.keyword.localeCompare(b.keyword));
        keyed(
            list,
            all,
            (one) => `${one.scope} ${one.keyword} ${one.text}`,
            (one) => {
                const isOwn = one.scope === "personal" || isOperator;
                const edit = () => {
                    keyword.value = one.keyword;
                    message.value = one.text;
                    shared.checked = one.scope === "shared";
                    message.focus();
                };
                return h(
                    "li",
                    {},
                    h(
                        "div",
                        { class: "what" },
                        h("b", {}, `/${one.keyword}`),
                        one.scope === "shared" && h("span", { class: "badge" }, t("canned_is_shared")),
                        h("p", {}, one.text),
                    ),
                    isOwn && button({ icon: "edit", label: t("canned_edit", { keyword: one.keyword }), quiet: true, on: edit }),
                    isOwn &&
                        button({
                            icon: "close",
                            label: t("canned_remove", { keyword: one.keyword }),
                            quiet: true,
                            on: () => void work.removeCanned(one.keyword, one.scope),
                        }),
                );
            },
        );
    };
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        const name = keyword.value.trim().replace(/^\//, "");
        const isWord = name !== "" && !/\s/u.test(name) && new TextEncoder().encode(name).length <= WORD_BYTES_MAX;
        attribute(keyword, "aria-invalid", isWord ? null : "true");
        attribute(message, "aria-invalid", message.value.trim() ? null : "true");
        text(problem, !isWord ? t("canned_bad_keyword") : message.value.trim() ? "" : t("canned_no_text"));
        if (!isWord) return keyword.focus();
        if (!message.value.trim()) return message.focus();
        if (await work.setCanned(name, message.value.trim(), isOperator && shared.checked ? "shared" : "personal")) {
            form.reset();
            keyword.focus();
        }
    });
    const element = dialog(t("canned"), [list, form], { wide: true });
    work.addEventListener("change", draw);
    element.addEventListener("close", () => work.removeEventListener("change", draw));
    draw();
    keyword.focus();
}
