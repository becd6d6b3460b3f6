/**
 * Getting the agent's attention: the title, a sound, desktop notifications.
 *
 * @module
 */

/** Not more often than this, however many customers write. */
const SOUND_EACH_MS = 1_500;

/** @type {AudioContext | null} */
let audio = null;
let lastSound = -Infinity;

/** Browsers let pages make sounds only after somebody has touched them. */
export function allowSound() {
    try {
        audio ??= new AudioContext();
        if (audio.state === "suspended") void audio.resume();
    } catch {
        // No sound device.
    }
}

/**
 * Two soft notes.
 *
 * @param {"new" | "message" | "warning"} kind
 * @returns {boolean} Whether it could be heard.
 */
export function sound(kind) {
    const now = performance.now();
    if (!audio || audio.state !== "running" || now - lastSound < SOUND_EACH_MS) return false;
    lastSound = now;
    const notes = { new: [659.3, 880], message: [587.3, 659.3], warning: [440, 349.2] }[kind];
    notes.forEach((frequency, index) => note(/** @type {AudioContext} */ (audio), frequency, index * 0.16));
    return true;
}

/**
 * @param {AudioContext} context
 * @param {number} frequency
 * @param {number} after
 */
function note(context, frequency, after) {
    const begins = context.currentTime + after;
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    oscillator.type = "sine";
    oscillator.frequency.value = frequency;
    gain.gain.setValueAtTime(0, begins);
    gain.gain.linearRampToValueAtTime(0.12, begins + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.0001, begins + 0.35);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(begins);
    oscillator.stop(begins + 0.4);
}

/** @returns {Promise<boolean>} */
export async function allowNotifications() {
    if (!("Notification" in globalThis)) return false;
    return (await Notification.requestPermission()) === "granted";
}

/**
 * @param {string} title
 * @param {string} body
 * @param {string} tag A newer one with the same replaces it.
 * @param {() => void} onClick
 */
export function notify(title, body, tag, onClick) {
    if (!("Notification" in globalThis) || Notification.permission !== "granted") return;
    try {
        const shown = new Notification(title, { body, tag, icon: "icon.svg" });
        shown.onclick = () => {
            window.focus();
            shown.close();
            onClick();
        };
    } catch {
        // Some phones allow them from service workers alone.
    }
}
