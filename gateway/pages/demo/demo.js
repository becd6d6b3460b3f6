// The shop's own script: a basket, which the agents see, and a question about a product.

window.Jono ??= [];
const KEY = "lumo-basket";

/** @returns {Record<string, number>} */
const basket = () => JSON.parse(sessionStorage.getItem(KEY) ?? "{}");

function show() {
    const lines = Object.entries(basket());
    const made = lines.map(([product, count]) => {
        const line = document.createElement("li");
        line.textContent = `${count} × ${product}`;
        return line;
    });
    document.getElementById("lines")?.replaceChildren(...made);
    document.getElementById("empty")?.toggleAttribute("hidden", lines.length > 0);
    const count = document.getElementById("count");
    if (count) count.textContent = String(lines.reduce((sum, [, count]) => sum + count, 0));
    // A group: agents see it folded.
    if (lines.length > 0) window.Jono?.push(["setMetadata", { basket: Object.fromEntries(lines) }]);
}

for (const button of document.querySelectorAll("button.add")) {
    button.addEventListener("click", () => {
        const { product = "" } = /** @type {HTMLElement} */ (button).dataset;
        const now = basket();
        sessionStorage.setItem(KEY, JSON.stringify({ ...now, [product]: (now[product] ?? 0) + 1 }));
        show();
    });
}
for (const button of document.querySelectorAll("button.ask")) {
    button.addEventListener("click", () => {
        const { product } = /** @type {HTMLElement} */ (button).dataset;
        window.Jono?.push(["setMetadata", { asks_about: product }], ["open"]);
    });
}
show();
