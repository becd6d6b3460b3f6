/**
 * Texts, numbers and times in the agent's language.
 *
 * @module
 */

import { TEXTS } from "./texts.js";

/** @typedef {keyof typeof TEXTS} Language */

/** With their own names. */
export const LANGUAGES = /** @type {const} */ ({ en: "English", fi: "Suomi", ru: "Русский" });

/** @type {Language} */
let language = "en";
let locale = "en-GB";
let plurals = new Intl.PluralRules(language);
let clock = new Intl.DateTimeFormat(language);
let day = new Intl.DateTimeFormat(language);
let full = new Intl.DateTimeFormat(language);
choose("en");

/**
 * The language that is wanted, or the first of the browser's that is there, or English.
 *
 * @param {string} wanted
 * @param {readonly string[]} [others]
 * @returns {Language}
 */
export function best(wanted, others = []) {
    for (const tag of [wanted, ...others]) {
        const found = tag.slice(0, 2).toLowerCase();
        if (Object.hasOwn(TEXTS, found)) return /** @type {Language} */ (found);
    }
    return "en";
}

/**
 * @param {Language} wanted
 * @param {readonly string[]} [others] The browser's: how times are written in `en-GB` is not how they are in `en-US`.
 */
export function choose(wanted, others = []) {
    language = wanted;
    locale = others.find((tag) => tag.startsWith(`${wanted}-`)) ?? (wanted === "en" ? "en-GB" : wanted);
    plurals = new Intl.PluralRules(language);
    clock = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
    day = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
    full = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
}

/** @returns {Language} */
export function chosen() {
    return language;
}

/**
 * A text, with its values. Where the text has several forms, `n` chooses.
 *
 * @param {string} key
 * @param {{[name: string]: string | number | undefined}} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
    /** @type {{[key: string]: string | {[form: string]: string}}} */
    const texts = TEXTS[language];
    const found = texts[key] ?? (key.startsWith("error_") ? texts["error_failed"] : undefined) ?? key;
    const form = typeof found === "string" ? found : (found[plurals.select(Number(values["n"]))] ?? found["other"] ?? key);
    return form.replaceAll(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** @param {number} at */
export function time(at) {
    return clock.format(at);
}

/** @param {number} at */
export function date(at) {
    return day.format(at);
}

/** @param {number} at */
export function moment(at) {
    return full.format(at);
}

/**
 * When something was, as short as can be: the time today, the date before.
 *
 * @param {number} at
 * @param {number} now
 */
export function recent(at, now) {
    if (new Date(at).toDateString() === new Date(now).toDateString()) return time(at);
    return new Intl.DateTimeFormat(locale, { day: "numeric", month: "numeric" }).format(at);
}

/**
 * How long something has lasted: minutes, then hours, then days.
 *
 * @param {number} ms
 */
export function lasted(ms) {
    const minutes = Math.floor(Math.max(0, ms) / 60_000);
    if (minutes < 1) return t("lasted_moment");
    if (minutes < 60) return t("lasted_minutes", { n: minutes });
    const hours = Math.floor(minutes / 60);
    if (hours < 24) {
        const rest = minutes % 60 > 0 ? ` ${t("lasted_minutes", { n: minutes % 60 })}` : "";
        return t("lasted_hours", { n: hours }) + rest;
    }
    return t("lasted_days", { n: Math.floor(hours / 24) });
}

/**
 * What is left of a time, counting down.
 *
 * @param {number} ms
 */
export function left(ms) {
    const seconds = Math.ceil(Math.max(0, ms) / 1_000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
