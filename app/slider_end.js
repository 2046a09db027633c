// Tells the server where the slider within a chart was let go: while it is dragged, the page alone draws.

export default function ({ data, setStateValue }) {
    let plot;
    let stopped = false;
    const report = ({ step }) => setStateValue("value", Number(step.label));
    const attach = () => {
        if (stopped) return;
        plot = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`);
        if (plot?.on) plot.on("plotly_sliderend", report);
        else requestAnimationFrame(attach);
    };
    attach();
    return () => {
        stopped = true;
        plot?.removeListener?.("plotly_sliderend", report);
    };
}
