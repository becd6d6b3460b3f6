/**
 * What the widget says, in the visitor's language. One language is loaded.
 *
 * @typedef {typeof import("./texts/en.js").default} Shape
 * @typedef {Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }} Plural
 * @typedef {"openUnread" | "position" | "waitMinutes" | "waitHours"} PluralKey
 * @typedef {"title" | "subtitle" | "openChat" | "closeChat" | "connecting" | "lost" | "tryNow" | "superseded" | "useHere"
 *     | "unavailable" | "greeting" | "queueLegend" | "queueClosed" | "name" | "firstMessage" | "startButton" | "allClosed"
 *     | "refusedClosed" | "refusedClosedUntil" | "refusedFull" | "refusedConflict" | "refusedOther" | "tooLong"
 *     | "blockedForever" | "blockedUntil" | "waitSoon" | "inQueue" | "positionReturned" | "positionPriority" | "joined"
 *     | "returned" | "handed" | "moved" | "endedAgent" | "endedCustomer" | "endedInactive" | "someone" | "you" | "log"
 *     | "typing" | "write" | "keys" | "send" | "sending" | "delivered" | "read" | "failed" | "retry" | "toNewest" | "end"
 *     | "endConfirm" | "endYes" | "endNo" | "stillThere" | "stillHere" | "rateTitle" | "rate1" | "rate2" | "rate3" | "rate4"
 *     | "rate5" | "comment" | "rateSend" | "rateThanks" | "newConversation"} TextKey
 * @typedef {Record<TextKey, string> & Record<PluralKey, Plural>} Texts
 */

/** Languages that are complete. The first is for everybody else. */
export const LANGUAGES = ["en", "fi", "ru"];

/**
 * The first of the wishes that is spoken here.
 * @param {(string | null | undefined)[]} wishes such as `fi-FI`
 */
export function chooseLanguage(wishes) {
    const spoken = wishes.map((wish) => wish?.slice(0, 2).toLowerCase()).find((wish) => wish && LANGUAGES.includes(wish));
    return spoken ?? LANGUAGES[0];
}

/**
 * @param {string} language one of `LANGUAGES`
 * @returns {Promise<Speech>}
 */
export async function loadSpeech(language) {
    const { default: texts } = await import(`./texts/${language}.js`);
    return new Speech(language, texts);
}

/** Texts, times and durations of one language. */
export class Speech {
    #texts;
    #plural;
    #clock;
    #day;
    #dayAndTime;
    #relative;

    /**
     * @param {string} language
     * @param {Texts} texts
     */
    constructor(language, texts) {
        this.language = language;
        this.#texts = texts;
        this.#plural = new Intl.PluralRules(language);
        this.#clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
        this.#day = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
        this.#dayAndTime = new Intl.DateTimeFormat(language, { weekday: "short", day: "numeric", month: "numeric", hour: "2-digit", minute: "2-digit" });
        this.#relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
    }

    /**
     * @param {TextKey} key
     * @param {Record<string, string>} [values] for the places in braces
     */
    say(key, values = {}) {
        return fill(this.#texts[key], values);
    }

    /**
     * @param {PluralKey} key
     * @param {number} count
     */
    count(key, count) {
        const forms = this.#texts[key];
        return fill(forms[this.#plural.select(count)] ?? forms.other, { count: String(count) });
    }

    /** @param {number} at ms since 1970 */
    time(at) {
        return this.#clock.format(at);
    }

    /** @param {number} at ms since 1970 */
    dayAndTime(at) {
        return this.#dayAndTime.format(at);
    }

    /**
     * "today", "yesterday", or the date.
     * @param {number} at ms since 1970
     * @param {number} now
     */
    day(at, now) {
        const days = Math.round((new Date(at).setHours(0, 0, 0, 0) - new Date(now).setHours(0, 0, 0, 0)) / 86_400_000);
        return days > -2 ? this.#relative.format(days, "day") : this.#day.format(at);
    }

    /** @param {number} ms an estimate */
    wait(ms) {
        const minutes = Math.round(ms / 60_000);
        if (minutes < 1) return this.say("waitSoon");
        return minutes < 90 ? this.count("waitMinutes", minutes) : this.count("waitHours", Math.round(minutes / 60));
    }
}

/**
 * @param {string} text
 * @param {Record<string, string>} values
 */
function fill(text, values) {
    return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
