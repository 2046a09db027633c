// Documents of the task "chain sum", drawn as `pgce_mini.tasks.ChainSum` draws them: eight numbers, "=" or "≡", and
// running totals, "#" and the answer, or "#" and a guess.

const [EOS, PLUS, EQUALS, REASON, ANSWER, ZERO] = [1, 2, 3, 4, 5, 6];

/** The ids of one document; random() is uniform in [0, 1), settings are the fields of `ChainSum`. */
export function chainSumDocument(random, { num_operands, max_operand, reasoned_share, slip_rate, direct_noise }) {
    const below = (n) => Math.floor(random() * n);
    const most = num_operands * max_operand;
    const operands = Array.from({ length: num_operands }, () => below(max_operand + 1));
    const equals = random() < 0.5 ? REASON : EQUALS;
    const prompt = [...operands.flatMap((operand) => [ZERO + operand, PLUS]).slice(0, -1), equals];
    if (equals === REASON || random() < reasoned_share) {
        let total = 0;
        const totals = operands.map((operand) => {
            total = Math.min(total + operand, most); // after a slip the sum may leave the range
            if (random() < slip_rate) total = below(most + 1);
            return ZERO + total;
        });
        return [...prompt, ...totals, ANSWER, ZERO + total, EOS];
    }
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const sum = operands.reduce((a, b) => a + b);
    const guess = Math.min(Math.max(sum + Math.round(direct_noise * normal), 0), most);
    return [...prompt, ANSWER, ZERO + guess, EOS];
}
