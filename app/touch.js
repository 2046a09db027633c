// On a touch screen a swipe scrolls the page and changes nothing, wherever it begins: sliders and pictures hear of a
// touch when it is a tap (the browser then makes mouse events of it) or has gone sideways on a slider.

if (!window.pgceTouch) {
    window.pgceTouch = true; // this text runs with every page
    const SIDEWAYS = 10; // px of travel, mostly sideways, that make a drag of a touch
    const SLIDER = '[data-testid="stSlider"], .js-plotly-plot .slider-container'; // Streamlit's, Plotly's
    let touch = null; // on a slider: where it began, and whether it drags
    const listen = (type, heard) => window.addEventListener(type, heard, { capture: true });

    // Plotly's slider follows the mouse above its picture.
    const asMouse = (type, target, { clientX, clientY }) =>
        target.dispatchEvent(new MouseEvent(type, { bubbles: true, cancelable: true, clientX, clientY }));

    listen("pointerdown", (event) => {
        if (event.pointerType === "mouse" || !event.isTrusted || !event.target.closest(SLIDER)) return;
        event.stopImmediatePropagation();
        touch = { event, plot: event.target.closest(".js-plotly-plot"), drags: false };
    });
    listen("touchstart", (event) => {
        if (event.target.closest(`${SLIDER}, .js-plotly-plot`)) event.stopImmediatePropagation();
    });
    listen("pointermove", (event) => {
        if (event.pointerId !== touch?.event.pointerId) return;
        const { event: first, plot } = touch;
        if (!touch.drags) {
            const [across, along] = [event.clientX - first.clientX, event.clientY - first.clientY].map(Math.abs);
            if (Math.max(across, along) < SIDEWAYS) return;
            if (across < 2 * along) return void (touch = null);
            touch.drags = true;
            if (plot) asMouse("mousedown", first.target, event);
            else first.target.dispatchEvent(new PointerEvent("pointerdown", first));
        }
        if (plot) asMouse("mousemove", plot, event);
    });
    const end = (event) => {
        if (event.pointerId !== touch?.event.pointerId) return;
        if (touch.drags && touch.plot) asMouse("mouseup", touch.plot, event);
        touch = null;
    };
    listen("pointerup", end);
    listen("pointercancel", end);
}
