// What a page sees of the widget.

import type { MetadataChanges } from "./protocol";

/** What `on` tells, by name. */
export type WidgetEvents = {
    /** The panel was opened, or closed. */
    open: undefined;
    close: undefined;
    /** A conversation began. */
    start: { conversation: string };
    /** A message came, or one of the visitor's was stored. */
    message: { conversation: string; seq: number; at: number; from: "visitor" | "agent"; name?: string; text: string };
    /** The conversation ended. */
    end: { conversation: string; cause: "agent" | "customer" | "inactive" };
    /** The visitor rated it. */
    rate: { conversation: string; rating: number };
    /** Messages that the visitor has not seen. */
    unread: { count: number };
    /** The connection came or went. */
    connection: { state: "idle" | "connecting" | "online" | "waiting" | "refused" };
};

/** `<jono-chat>`, and `window.Jono` once the script is there. */
export interface JonoChatElement extends HTMLElement {
    /** Opens the panel. */
    open(): Promise<void>;
    close(): Promise<void>;
    /** Begins a conversation; in the site's first open queue unless said otherwise. */
    start(given?: { queue?: string; message?: string }): Promise<void>;
    /** Sends a message in the visitor's name; begins a conversation if there is none. */
    send(text: string): Promise<void>;
    /** Who the visitor is. Everything but `name` becomes metadata. */
    identify(who: { name?: string } & MetadataChanges): Promise<void>;
    setMetadata(metadata: MetadataChanges): Promise<void>;
    /** The answer takes the handler away again. */
    on<Name extends keyof WidgetEvents>(name: Name, handler: (value: WidgetEvents[Name]) => void): () => void;
    /** Calls by name, as they are queued before the script is there: `push(["send", "Hello"])`. */
    push(...calls: [string, ...unknown[]][]): void;
    /** Removes the widget and whatever it kept in this browser. */
    destroy(): void;
    readonly handlers: Record<string, Set<Function>>;
    /** The button, unless the panel is open. */
    readonly shadowRoot: ShadowRoot;
}

declare global {
    interface Window {
        Jono?: JonoChatElement | [string, ...unknown[]][];
    }
}
