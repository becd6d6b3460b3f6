/**
 * Above the conversation: the connection, the place in the queue, the end that is near.
 * @typedef {import("./visit.js").Visit} Visit
 * @typedef {import("./texts.js").Speech} Speech
 */

import { h, set, write } from "./dom.js";

/** A loss that heals at once need not worry anybody. */
const LOST_SHOWN_AFTER_MS = 1_500;

export class Notices {
    #visit;
    #speech;
    /** @type {number | undefined} */
    #lostAt;

    /**
     * @param {Visit} visit
     * @param {Speech} speech
     */
    constructor(visit, speech) {
        this.#visit = visit;
        this.#speech = speech;
        this.connectionText = h("span");
        this.connectionButton = h("button", { type: "button", onclick: () => visit.connect() });
        this.connection = h("div", { class: "notice bad", hidden: true }, this.connectionText, this.connectionButton);
        this.place = h("strong");
        this.wait = h("span");
        this.queue = h("div", { class: "notice queue", hidden: true }, this.place, this.wait);
        this.deadlineText = h("span");
        const stay = h("button", { type: "button", onclick: () => visit.stillHere() }, speech.say("stillHere"));
        this.deadline = h("div", { class: "notice warn", hidden: true }, this.deadlineText, stay);
        // The counting itself is not read out: the warning is, once.
        this.alert = h("div", { class: "hidden", role: "alert" });
        const status = h("div", { role: "status" }, this.connection, this.queue);
        this.element = h("div", {}, status, this.deadline, this.alert);
    }

    update() {
        this.#updateConnection();
        this.#updateQueue();
        this.#updateDeadline();
    }

    #updateConnection() {
        const { state, reason } = this.#visit.connection;
        const say = (/** @type {import("./texts.js").TextKey} */ key) => this.#speech.say(key);
        const isLost = state === "waiting" || (state === "connecting" && this.#lostAt !== undefined);
        if (!isLost) this.#lostAt = undefined;
        else this.#lostAt ??= Date.now();
        const isLongLost = this.#lostAt !== undefined && Date.now() - this.#lostAt >= LOST_SHOWN_AFTER_MS;
        const isSuperseded = reason === "superseded";
        if (state === "refused") write(this.connectionText, say(isSuperseded ? "superseded" : "unavailable"));
        else write(this.connectionText, isLongLost ? say("lost") : "");
        write(this.connectionButton, say(isSuperseded ? "useHere" : "tryNow"));
        this.connectionButton.hidden = state === "refused" && !isSuperseded;
        this.connection.hidden = state !== "refused" && !isLongLost;
    }

    #updateQueue() {
        const { thread } = this.#visit;
        this.queue.hidden = thread?.state !== "waiting";
        if (!thread || this.queue.hidden) return;
        const { position, waitMs, positionReason } = thread;
        write(this.place, position ? this.#speech.count("position", position) : this.#speech.say("inQueue"));
        const wait = waitMs !== undefined && position ? this.#speech.wait(waitMs) : "";
        const reasons = { returned: "positionReturned", priority: "positionPriority" };
        const reason = positionReason && this.#speech.say(/** @type {import("./texts.js").TextKey} */ (reasons[positionReason]));
        write(this.wait, [wait, reason].filter(Boolean).join(" · "));
    }

    #updateDeadline() {
        const { thread, blocked } = this.#visit;
        // Who is blocked cannot answer it.
        const leftMs = blocked ? undefined : thread?.endsInMs(this.#visit.now());
        set(this.deadline, "hidden", leftMs === undefined);
        if (leftMs === undefined) return void write(this.alert, "");
        const seconds = Math.ceil(leftMs / 1_000);
        const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
        const text = this.#speech.say("stillThere", { time });
        write(this.deadlineText, text);
        if (this.alert.textContent === "") write(this.alert, text);
    }
}
