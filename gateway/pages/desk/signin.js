/**
 * The sign-in form.
 *
 * @module
 */

import { JonoClient } from "../client.js";
import { attribute, h, text } from "./dom.js";
import { t } from "./i18n.js";
import { socketUrl } from "./work.js";

/** The organisation that a demo server makes; its credentials are printed when it starts. */
const DEMO = { site: "demo", organisation: "org_demoaaaaaaaaaaaaaaaaaaaaaa", login: "anna", password: "demo-demo" };

export class SignIn extends HTMLElement {
    /** @type {import("./work.js").Work} */ work;

    /** @param {import("./work.js").Work} work */
    constructor(work) {
        super();
        this.work = work;
    }

    connectedCallback() {
        const asked = new URLSearchParams(location.search);
        const organisation = this.#field("organisation", t("signin_organisation"), "organization");
        const login = this.#field("login", t("signin_login"), "username");
        const password = this.#field("password", t("signin_password"), "current-password");
        password.input.type = "password";
        organisation.input.value = asked.get("organisation") ?? this.work.lastOrganisation;
        login.input.value = asked.get("login") ?? "";
        const problem = h(
            "p",
            { class: "problem", role: "alert", id: "signin-problem" },
            this.work.signedOut ? t(this.work.signedOut) : "",
        );
        const submit = h("button", { type: "submit", class: "button primary" }, t("signin_submit"));
        const demo = h(
            "p",
            { class: "hint", hidden: true },
            t("signin_demo", { names: "anna, ben, olivia", password: DEMO.password }),
        );
        const form = h(
            "form",
            { class: "signin", "aria-label": t("signin_title"), novalidate: true },
            h("p", { class: "brand" }, "Jono"),
            h("h1", {}, t("signin_title")),
            problem,
            organisation.label,
            login.label,
            password.label,
            submit,
            demo,
        );
        const isDemo = () => organisation.input.value.trim() === DEMO.organisation;
        const prefill = () => {
            demo.hidden = !isDemo();
            if (!isDemo()) return;
            login.input.value ||= DEMO.login;
            password.input.value ||= DEMO.password;
        };
        form.addEventListener("submit", async (event) => {
            event.preventDefault();
            const empty = [organisation, login, password].find(({ input }) => input.value.trim() === "");
            for (const { input } of [organisation, login, password]) attribute(input, "aria-invalid", false);
            if (empty) {
                text(problem, t("signin_empty"));
                attribute(empty.input, "aria-invalid", "true");
                return empty.input.focus();
            }
            submit.disabled = true;
            text(problem, "");
            const why = await this.work.signIn(organisation.input.value.trim(), login.input.value.trim(), password.input.value);
            submit.disabled = false;
            if (!why) return;
            text(problem, t(why));
            if (why === "signin_wrong") {
                attribute(password.input, "aria-invalid", "true");
                password.input.focus();
                password.input.select();
            }
        });
        this.replaceChildren(h("main", { class: "door" }, form));
        (organisation.input.value ? login.input : organisation.input).focus();
        organisation.input.addEventListener("change", prefill);
        prefill();
        if (isDemo()) submit.focus();
        if (organisation.input.value) return;
        this.#findDemo(() => {
            if (organisation.input.value) return;
            organisation.input.value = DEMO.organisation;
            prefill();
            submit.focus();
        });
    }

    /**
     * @param {string} name
     * @param {string} label
     * @param {AutoFill} autocomplete
     */
    #field(name, label, autocomplete) {
        const input = h("input", {
            name,
            autocomplete,
            required: true,
            autocapitalize: "none",
            spellcheck: "false",
            "aria-describedby": "signin-problem",
        });
        return { input, label: h("label", { class: "field" }, h("span", {}, label), input) };
    }

    /**
     * On a server with the demo anybody may visit its site, and there is one organisation that anybody may try.
     *
     * @param {() => void} found
     */
    #findDemo(found) {
        const visit = new JonoClient({ url: socketUrl(), open: () => ({ role: "customer", site: DEMO.site }) });
        visit.on("opened", (opened) => {
            visit.close();
            if (opened.organisation.id === DEMO.organisation && this.isConnected) found();
        });
        // No demo here, or no server: once is enough.
        visit.on("state", ({ state }) => {
            if (state === "waiting") visit.close();
        });
        visit.connect();
    }
}

customElements.define("jono-sign-in", SignIn);
