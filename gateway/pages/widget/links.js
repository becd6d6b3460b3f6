import { h } from "./dom.js";

/** Schemes that a click may lead to. Everything else stays text. */
const ADDRESS = /\b(?:https?:\/\/|mailto:)[^\s<>"']+/gi;
/** What usually ends the sentence, not the address. */
const TRAILING = /[.,;:!?…»”’]+$/;

/**
 * A text, with its addresses as links.
 * @param {string} text
 * @returns {(string | HTMLAnchorElement)[]}
 */
export function withLinks(text) {
    const parts = [];
    let end = 0;
    for (const match of text.matchAll(ADDRESS)) {
        const address = trimmed(match[0]);
        if (!isAddress(address)) continue;
        parts.push(text.slice(end, match.index));
        parts.push(h("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, address));
        end = match.index + address.length;
    }
    parts.push(text.slice(end));
    return parts.filter((part) => part !== "");
}

/** @param {string} address */
function trimmed(address) {
    const cut = address.replace(TRAILING, "");
    // A closing bracket belongs to the address only if it was opened there.
    return cut.endsWith(")") && !cut.includes("(") ? cut.slice(0, -1).replace(TRAILING, "") : cut;
}

/** @param {string} address */
function isAddress(address) {
    try {
        const url = new URL(address);
        return url.protocol === "mailto:" ? url.pathname.includes("@") : /^https?:$/.test(url.protocol) && url.hostname !== "";
    } catch {
        return false;
    }
}
