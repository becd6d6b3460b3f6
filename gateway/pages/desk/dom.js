/**
 * Making and keeping elements. Texts go in as text, never as markup, so nothing that was written by
 * others can become a part of the page.
 *
 * @module
 */

/**
 * @typedef {Node | string | null | undefined | false} Child
 * @typedef {object} Props `class`, `on` (listeners), `data` (data-*); everything else is an attribute. `true` is an
 *     empty attribute; `false`, `null` and `undefined` are none.
 */

/**
 * An element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {{[name: string]: any}} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(props)) {
        if (name === "on") {
            for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
        } else if (name === "data") {
            Object.assign(element.dataset, value);
        } else {
            attribute(element, name, value);
        }
    }
    for (const child of children.flat()) if (child !== null && child !== undefined && child !== false) element.append(child);
    return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Drawn on 16 by 16, in strokes. */
const ICONS = {
    back: "M10 3 5 8l5 5",
    bell: "M4 11V7a4 4 0 0 1 8 0v4l1 1H3zM7 14h2",
    block: "M8 2a6 6 0 1 0 .01 0M4 4l8 8",
    check: "m3 8.5 3.5 3.5L13 4.5",
    clock: "M8 2a6 6 0 1 0 .01 0M8 5v3.5l2.5 1.5",
    close: "m4 4 8 8M12 4l-8 8",
    down: "m4 6 4 4 4-4",
    edit: "m3 13 1-3.5L10.5 3 13 5.5 6.5 12zM9 4.5 11.5 7",
    gear: "M8 5.5a2.5 2.5 0 1 0 .01 0M8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2M3.4 3.4l1.4 1.4M11.2 11.2l1.4 1.4M3.4 12.6l1.4-1.4M11.2 4.8l1.4-1.4",
    hand: "M3 8.5h7.5M8 5.5l3 3-3 3M13 3v11",
    info: "M8 2a6 6 0 1 0 .01 0M8 7.5v4M8 4.7v.2",
    keyboard: "M2 4h12v8H2zM4.5 6.5h.01M7 6.5h.01M9.5 6.5h.01M11.7 6.5h.01M5 9.7h6",
    more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
    move: "M2 5h9M8.5 2.5 11 5 8.5 7.5M14 11H5M7.5 8.5 5 11l2.5 2.5",
    note: "M3 2.5h10v7L9.5 13H3zM13 9.5H9.5V13M5.5 5.5h5M5.5 8h3",
    person: "M8 2.5a2.7 2.7 0 1 0 .01 0M2.8 13.5c.6-3 2.6-4.3 5.2-4.3s4.6 1.3 5.2 4.3",
    plus: "M8 3v10M3 8h10",
    return: "M6 4 2.5 7.5 6 11M3 7.5h6.5a3.5 3.5 0 0 1 0 7H8",
    search: "M7 2.5a4.5 4.5 0 1 0 .01 0M10.3 10.3 14 14",
    send: "M2.5 8 13.5 3 11 13.5 7.5 9.5zM7.5 9.5 13.5 3",
};

/** @typedef {keyof typeof ICONS} Icon */

/**
 * A picture that says nothing by itself: its button has a name.
 *
 * @param {Icon} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
    const svg = document.createElementNS(SVG, "svg");
    for (const [key, value] of Object.entries({
        viewBox: "0 0 16 16",
        class: "icon",
        "aria-hidden": "true",
        focusable: "false",
    })) {
        svg.setAttribute(key, value);
    }
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
}

/**
 * A button with a picture, a text, or both. Without `label` shown, it is the name and the hint.
 *
 * @param {{icon?: Icon, label: string, key?: string, class?: string, quiet?: boolean, on: (event: Event) => void,
 *     [attribute: string]: any}} options `quiet`: only the picture is shown. `key`: the key that does the same
 * @returns {HTMLButtonElement}
 */
export function button({ icon: picture, label, key, class: name = "", quiet = false, on, ...rest }) {
    const hint = key ? `${label} (${key})` : label;
    return h(
        "button",
        {
            type: "button",
            class: `button ${quiet ? "quiet" : ""} ${name}`.trim().replaceAll(/\s+/g, " "),
            title: quiet || key ? hint : undefined,
            "aria-label": quiet ? label : undefined,
            "aria-keyshortcuts": key,
            on: { click: on },
            ...rest,
        },
        picture && icon(picture),
        quiet ? null : h("span", {}, label),
    );
}

/**
 * Sets an attribute, touching the page only when it changes.
 *
 * @param {Element} element
 * @param {string} name
 * @param {string | number | boolean | null | undefined} value
 */
export function attribute(element, name, value) {
    if (value === false || value === null || value === undefined) {
        if (element.hasAttribute(name)) element.removeAttribute(name);
        return;
    }
    const text = value === true ? "" : String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/**
 * Sets the text, touching the page only when it changes.
 *
 * @param {Element} element
 * @param {string} value
 */
export function text(element, value) {
    if (element.textContent !== value) element.textContent = value;
}

/** @type {WeakMap<Element, Map<string, HTMLElement>>} */
const kept = new WeakMap();

/**
 * Makes the children of `parent` match `items`, keeping an item's element as long as its key stays: focus,
 * selection and scrolling survive.
 *
 * @template Item
 * @param {Element} parent
 * @param {Item[]} items
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => HTMLElement} make
 * @param {(element: any, item: Item) => void} [update]
 */
export function keyed(parent, items, keyOf, make, update) {
    const before = kept.get(parent) ?? new Map();
    /** @type {Map<string, HTMLElement>} */
    const now = new Map();
    for (const item of items) {
        const key = keyOf(item);
        const element = before.get(key) ?? make(item);
        now.set(key, element);
        update?.(element, item);
    }
    for (const [key, element] of before) if (!now.has(key)) element.remove();
    const focused = document.activeElement;
    let next = parent.firstElementChild;
    for (const element of now.values()) {
        if (element === next) next = next.nextElementSibling;
        else parent.insertBefore(element, next);
    }
    // Moving an element takes the focus away from it.
    if (focused instanceof HTMLElement && focused !== document.activeElement && parent.contains(focused)) {
        focused.focus({ preventScroll: true });
    }
    kept.set(parent, now);
}

/**
 * A text with its web addresses made into links. Only `http` and `https`; what is shown is where it leads.
 *
 * @param {string} value
 * @returns {(Node | string)[]}
 */
export function linked(value) {
    return links(value).map((part) =>
        part.href ? h("a", { href: part.href, target: "_blank", rel: "noopener noreferrer nofollow" }, part.text) : part.text,
    );
}

/**
 * @param {string} value
 * @returns {{text: string, href?: string}[]}
 */
export function links(value) {
    /** @type {{text: string, href?: string}[]} */
    const parts = [];
    let from = 0;
    for (const match of value.matchAll(/\bhttps?:\/\/[^\s<>"'`]+/giu)) {
        // What ends a sentence does not belong to the address.
        const found = match[0].replace(/[.,;:!?)\]}»”’*_]+$/u, "");
        if (!URL.canParse(found)) continue;
        if (match.index > from) parts.push({ text: value.slice(from, match.index) });
        parts.push({ text: found, href: found });
        from = match.index + found.length;
    }
    if (from < value.length) parts.push({ text: value.slice(from) });
    return parts;
}

/**
 * A colour that settings name, as CSS takes it; nothing if it does not.
 *
 * @param {string | undefined} value
 * @returns {string}
 */
export function colour(value) {
    return value && CSS.supports("color", value) ? value : "";
}
