// Saving what a page has made, here and in the explorer's charts: nothing is asked of a server.

const PIXELS = 2; // of a PNG, for each of the page

export function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** A file of comma-separated values, with the mark by which Excel knows UTF-8. */
export const csvFile = (text) => new Blob(["\ufeff", text], { type: "text/csv" });

/** The PNG of an SVG, `{source, width, height}`. */
export async function png({ source, width, height }, pixels = PIXELS) {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = pixels * width;
    canvas.height = pixels * height;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
}
