/** The page around the widget: what agents are told of it, and when it changes. */

/** Browsers without the navigation API are looked at this often. */
const LOOK_EVERY_MS = 2_000;
/** Metadata is small: whoever keeps a novel in an address keeps it from the agents. */
const TEXT_CHARS_MAX = 500;

/** @returns {Record<string, string>} */
export function pageNow() {
    const page = {
        url: location.href,
        title: document.title,
        referrer: document.referrer,
        language: navigator.language,
        screen: `${screen.width}x${screen.height}`,
        timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
        browser: navigator.userAgent,
    };
    return Object.fromEntries(Object.entries(page).filter(([, text]) => text).map(([key, text]) => [key, text.slice(0, TEXT_CHARS_MAX)]));
}

/**
 * Calls when the address changes without the page being loaded anew.
 * @param {() => void} changed
 * @returns {() => void} stops it
 */
export function watchPage(changed) {
    let last = location.href;
    const look = () => {
        if (location.href === last) return;
        last = location.href;
        changed();
    };
    const stopped = new AbortController();
    const { signal } = stopped;
    const navigation = /** @type {EventTarget | undefined} */ (/** @type {any} */ (globalThis).navigation);
    // Titles are often set a moment after the address.
    const soon = () => setTimeout(look, 100);
    navigation?.addEventListener("currententrychange", soon, { signal });
    addEventListener("popstate", soon, { signal });
    addEventListener("hashchange", soon, { signal });
    const timer = navigation ? 0 : setInterval(look, LOOK_EVERY_MS);
    return () => {
        stopped.abort();
        clearInterval(timer);
    };
}
