/**
 * Times that move by themselves: countdowns and how long something has lasted. Each is written once a
 * second, and only where its text has changed.
 *
 * @module
 */

import { attribute, h, text } from "./dom.js";
import { lasted, left, moment, recent } from "./i18n.js";

/** @typedef {"left" | "lasted" | "recent"} Kind */

/** Less than this is left: the countdown is shown as urgent. */
export const URGENT_MS = 60_000;

/**
 * @param {Kind} kind
 * @param {string} [name] A class.
 * @returns {HTMLTimeElement}
 */
export function ticking(kind, name = "") {
    return h("time", { class: name, data: { tick: kind }, hidden: true });
}

/**
 * @param {HTMLTimeElement} element
 * @param {number | undefined} at Server's time; without it nothing is shown.
 * @param {number} now
 */
export function set(element, at, now) {
    element.hidden = at === undefined;
    if (at === undefined) {
        delete element.dataset["at"];
        return;
    }
    if (element.dataset["at"] !== String(at)) {
        element.dataset["at"] = String(at);
        element.dateTime = new Date(at).toISOString();
        if (element.dataset["tick"] !== "left") element.title = moment(at);
    }
    write(element, now);
}

/**
 * @param {Element} root
 * @param {number} now
 */
export function tick(root, now) {
    for (const element of root.querySelectorAll("time[data-tick][data-at]")) write(/** @type {HTMLTimeElement} */ (element), now);
}

/**
 * @param {HTMLTimeElement} element
 * @param {number} now
 */
function write(element, now) {
    const at = Number(element.dataset["at"]);
    const kind = element.dataset["tick"];
    if (kind === "left") {
        text(element, left(at - now));
        const urgent = at - now <= URGENT_MS;
        attribute(element, "data-urgent", urgent);
        attribute(/** @type {Element} */ (element.parentElement ?? element), "data-urgent", urgent);
    } else {
        text(element, kind === "lasted" ? lasted(now - at) : recent(at, now));
    }
}
