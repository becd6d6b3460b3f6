/**
 * Canned messages in a text that is being written: finding them, putting them in.
 *
 * @module
 * @typedef {import("../protocol").Canned} Canned
 */

/**
 * What is being typed behind a slash at the caret. The slash stands at the beginning or behind white space.
 *
 * @param {string} text
 * @param {number} caret
 * @returns {{from: number, keyword: string} | null}
 */
export function typed(text, caret) {
    const found = /(?:^|\s)\/(\S*)$/u.exec(text.slice(0, caret));
    if (!found) return null;
    const keyword = found[1] ?? "";
    return { from: caret - keyword.length - 1, keyword };
}

/**
 * Those whose keyword begins so; the agent's own first, and instead of a shared one with the same keyword.
 *
 * @param {Canned[]} all
 * @param {string} keyword
 * @returns {Canned[]}
 */
export function matching(all, keyword) {
    const wanted = keyword.toLocaleLowerCase();
    const own = new Set(all.filter((canned) => canned.scope === "personal").map((canned) => canned.keyword));
    return all
        .filter((canned) => canned.keyword.toLocaleLowerCase().startsWith(wanted))
        .filter((canned) => canned.scope === "personal" || !own.has(canned.keyword))
        .sort((a, b) => a.keyword.localeCompare(b.keyword));
}

/**
 * The one that a keyword names: as written, or else regardless of case.
 *
 * @param {Canned[]} all
 * @param {string} keyword
 * @returns {Canned | undefined}
 */
export function named(all, keyword) {
    const found = matching(all, keyword);
    const lower = keyword.toLocaleLowerCase();
    return (
        found.find((canned) => canned.keyword === keyword) ?? found.find((canned) => canned.keyword.toLocaleLowerCase() === lower)
    );
}

/**
 * Puts names where the placeholders are. Unknown ones stay, to be seen.
 *
 * @param {string} text
 * @param {{[placeholder: string]: string | undefined}} values
 */
export function filled(text, values) {
    return text.replaceAll(/\[(\p{L}+)\]/gu, (whole, name) => values[name.toLocaleLowerCase()] ?? whole);
}

/**
 * The text with a canned message in place of what was typed.
 *
 * @param {string} text
 * @param {number} from Where the slash stands.
 * @param {number} to Where it ends.
 * @param {string} message
 * @returns {{text: string, caret: number}}
 */
export function put(text, from, to, message) {
    return { text: text.slice(0, from) + message + text.slice(to), caret: from + message.length };
}
