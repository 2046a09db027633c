// Who a visitor is to a class: a number that this browser draws once and keeps, and that says nothing about anybody.

const KEY = "pgce-visitor";

function kept() {
    try {
        return localStorage.getItem(KEY);
    } catch {
        return null; // a browser that keeps nothing: a reload is then somebody else
    }
}

function draw() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const drawn = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    try {
        localStorage.setItem(KEY, drawn);
    } catch {
        // as above
    }
    return drawn;
}

export default function ({ data, setStateValue }) {
    if (!data.known) setStateValue("token", kept() ?? draw());
}
