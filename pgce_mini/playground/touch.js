// A finger on something that slides: it may be about to scroll, so it sets nothing before it travels sideways.

const SIDEWAYS = 8; // px

/** Whether a finger that came down at `from`, [x, y], has set out sideways. */
export function goesSideways([x, y], event) {
    const across = Math.abs(event.clientX - x);
    return across >= SIDEWAYS && across > Math.abs(event.clientY - y);
}

/** Calls `change(number)` for what is meant to change a range input: a scroll that begins on it is not. */
export function listenToRange(input, change) {
    let finger = null; // { from, before, moves } while one is down
    const tell = () => change(Number(input.value));
    input.addEventListener("input", () => (!finger || finger.moves) && tell());
    input.addEventListener("pointerdown", ({ pointerType, clientX, clientY }) => {
        if (pointerType === "touch") finger = { from: [clientX, clientY], before: input.value, moves: false };
    });
    input.addEventListener("pointermove", (event) => {
        if (!finger || finger.moves || !goesSideways(finger.from, event)) return;
        finger.moves = true;
        tell();
    });
    input.addEventListener("pointerup", () => {
        if (finger && !finger.moves) tell(); // a tap
        finger = null;
    });
    input.addEventListener("pointercancel", () => {
        if (!finger) return;
        input.value = finger.before;
        if (finger.moves) tell();
        finger = null;
    });
}
