/**
 * The keyboard: which key means what, and when it means nothing.
 *
 * Single letters count outside text fields only, and can be switched off. Nothing is bound to Alt or AltGr: on
 * many keyboards they write characters.
 *
 * @module
 */

/**
 * In the order in which the help shows them.
 *
 * @type {{key: string, action: string}[]}
 */
export const KEYS = [
    { key: "j", action: "next" },
    { key: "k", action: "previous" },
    { key: "1", action: "open" },
    { key: "2", action: "mine" },
    { key: "3", action: "closed" },
    { key: "/", action: "search" },
    { key: "p", action: "pick" },
    { key: "t", action: "take" },
    { key: "r", action: "reply" },
    { key: "n", action: "note" },
    { key: "e", action: "keep" },
    { key: "u", action: "release" },
    { key: "a", action: "assign" },
    { key: "m", action: "transfer" },
    { key: "x", action: "close" },
    { key: "i", action: "customer" },
    { key: "?", action: "help" },
];

/** What works inside fields and dialogs, for the help. */
export const FIELD_KEYS = ["send", "newline", "canned", "leave"];

/**
 * @typedef {object} Pressed The parts of a `KeyboardEvent` that matter.
 * @property {string} key
 * @property {string} code
 * @property {boolean} ctrlKey
 * @property {boolean} altKey
 * @property {boolean} metaKey
 * @property {boolean} [isComposing]
 * @property {boolean} [repeat]
 * @property {boolean} [defaultPrevented]
 * @property {(key: string) => boolean} getModifierState
 */

/**
 * @param {Pressed} event
 * @param {boolean} inField The focus is where letters are written.
 * @returns {string | null} An action.
 */
export function action(event, inField) {
    if (inField || event.defaultPrevented || event.isComposing) return null;
    if (event.ctrlKey || event.altKey || event.metaKey || event.getModifierState("AltGraph")) return null;
    const found = KEYS.find(({ key }) => key === letter(event));
    if (!found) return null;
    return event.repeat && found.action !== "next" && found.action !== "previous" ? null : found.action;
}

/**
 * The letter that the key has, also on keyboards whose letters are not Latin.
 *
 * @param {Pressed} event
 */
function letter(event) {
    if (event.key.length !== 1) return event.key;
    const isOther = /\p{L}/u.test(event.key) && !/\p{Script=Latin}/u.test(event.key);
    const code = /^Key([A-Z])$/.exec(event.code)?.[1];
    return isOther && code ? code.toLowerCase() : event.key.toLowerCase();
}

/**
 * Is this where letters are written?
 *
 * @param {EventTarget | null} target
 */
export function isField(target) {
    if (!(target instanceof HTMLElement)) return false;
    if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
    return target instanceof HTMLInputElement && !["button", "checkbox", "radio", "submit"].includes(target.type);
}
