// Presenter mode of the explorer: its root has the class "pgce-presenting", and the address names the controls in
// play. Styles of the page end at our shadow tree, so the host says it here with attributes (see playground.css).

const USUAL = ["beta", "rl_start"]; // beside the buttons that train, "train", which always are

/** Keeps `host` in step with the page around it. */
export function followPresenter(host) {
    const root = document.documentElement;
    const follow = () => {
        const controls = [...host.shadowRoot.querySelectorAll("[data-key]")];
        for (const name of ["presenting", "revealed"]) host.toggleAttribute(name, root.classList.contains(`pgce-${name}`));
        const asked = (new URLSearchParams(location.search).get("control") ?? "").split(",");
        const known = asked.filter((key) => key === "train" || controls.some(({ dataset }) => dataset.key === key));
        for (const node of controls)
            node.classList.toggle("in-play", (known.length ? known : USUAL).includes(node.dataset.key));
    };
    const watch = new MutationObserver(() => (host.isConnected ? follow() : watch.disconnect()));
    watch.observe(root, { attributes: true, attributeFilter: ["class"] });
    new MutationObserver(follow).observe(host.shadowRoot.querySelector(".side"), { childList: true }); // the other mode
    follow();
}
