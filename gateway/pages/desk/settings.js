/**
 * What an agent has chosen for this browser: language, colours, sounds.
 *
 * @module
 */

const KEY = "jono desk settings";

/**
 * @typedef {object} Settings
 * @property {"" | "en" | "fi" | "ru"} language Empty: the browser's.
 * @property {"auto" | "light" | "dark"} theme
 * @property {boolean} sound
 * @property {boolean} notifications
 * @property {boolean} keys Single letters do something.
 * @property {boolean} customer The pane about the customer is shown.
 */

/** @type {Settings} */
const DEFAULTS = { language: "", theme: "auto", sound: false, notifications: false, keys: true, customer: true };

/** @returns {Settings} */
export function load() {
    try {
        return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
    } catch {
        return { ...DEFAULTS };
    }
}

/** @param {Settings} settings */
export function save(settings) {
    localStorage.setItem(KEY, JSON.stringify(settings));
}
