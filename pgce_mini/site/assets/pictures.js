// Makes the still pictures of a page live, each when it comes near: until then Plotly is not even loaded.

(() => {
    const plotly = new URL("plotly.min.js", document.currentScript.src).href;
    const bar = matchMedia("(hover: hover)").matches ? "hover" : false; // on a touch screen it would stay on the title
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const live = new Set();
    const ink = () => getComputedStyle(document.body).color;
    const recolour = (colour) => live.forEach((chart) => Plotly.relayout(chart, { "font.color": colour }));

    let loading;
    const load = () =>
        (loading ??= new Promise((done, failed) => {
            const script = document.createElement("script");
            Object.assign(script, { src: plotly, onload: done, onerror: failed });
            document.head.append(script);
        }).catch((error) => {
            loading = undefined; // the next picture tries again
            throw error;
        }));

    async function enliven(figure) {
        const still = figure.querySelector("img");
        const { data, layout } = JSON.parse(figure.querySelector("script").textContent);
        const chart = document.createElement("div");
        chart.className = "coming";
        chart.setAttribute("role", "img");
        chart.setAttribute("aria-label", still.alt);
        still.after(chart);
        try {
            await load();
            layout.template = Plotly.usualTemplate;
            layout.font = { ...layout.font, color: ink() };
            await Plotly.newPlot(chart, data, layout, { displaylogo: false, displayModeBar: bar, responsive: true });
        } catch {
            chart.remove(); // the still one stays
            return;
        }
        near.unobserve(figure);
        chart.classList.remove("coming");
        still.remove();
        live.add(chart);
    }

    const near = new IntersectionObserver(
        (entries) =>
            entries
                .filter(({ isIntersecting, target }) => isIntersecting && !target.querySelector(".coming"))
                .forEach(({ target }) => enliven(target)),
        { rootMargin: "600px" },
    );
    document.querySelectorAll(".live-picture").forEach((figure) => near.observe(figure));

    const follow = () => requestAnimationFrame(() => recolour(ink()));
    dark.addEventListener("change", follow);
    new MutationObserver(follow).observe(document.body, { attributeFilter: ["data-theme"] });
    addEventListener("beforeprint", () => recolour("#1f2328")); // paper is white
    addEventListener("afterprint", () => recolour(ink()));
})();
