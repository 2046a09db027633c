"""Pictures of how models read a text: what they expect next, and where in it they are unsure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go

from pgce_mini.figures.style import GRID, TEXT, arm_style, base_figure
from pgce_mini.tasks.base import EOS_ID, SPECIAL_TOKENS

END = "∎"  # for <eos>
ROW, SPREAD = 44, 0.8  # px of a token's row; the part of it that its markers take
LONGEST = 14  # characters of a token on an axis


def visible(token: str) -> str:
    """A token on one line: white space to be seen (␣, ↵, ⇥), a long one cut short, and nothing that is markup to
    Plotly or a page."""
    if token == SPECIAL_TOKENS[EOS_ID]:
        return END
    shown = token.translate({ord(" "): "␣", ord("\n"): "↵", ord("\t"): "⇥"})
    shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
    return escape("".join(c if c.isprintable() else "�" for c in shown), quote=False)


def next_tokens(
    tokens: Sequence[str], probs: Mapping[str, Sequence[float]], title: str, *, log: bool = False
) -> go.Figure:
    """The probability of each of some next tokens, an arm a marker; with `log` the tail can be seen too.

    tokens: likeliest first; probs: arm -> a probability a token.
    """
    figure = base_figure(title, f"probability{' (log scale)' if log else ''}", "", height=140 + ROW * len(tokens))
    labels = [visible(token) for token in tokens]
    for place, (arm, values) in enumerate(probs.items()):
        shift = (place - (len(probs) - 1) / 2) * SPREAD / len(probs)  # so that arms that agree can all be seen
        colour, _, marker = arm_style(arm, list(probs))
        figure.add_scatter(
            x=list(values), y=[row + shift for row in range(len(tokens))], mode="markers", name=arm,
            cliponaxis=False, marker={"color": colour, "symbol": marker, "size": 9},
            customdata=labels, hovertemplate="%{customdata}: %{x:.4f}<extra>" + arm + "</extra>",
        )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(tokens))),
        ticktext=labels,
        range=[len(tokens) - 0.5, -0.5],
        zeroline=False,
        showgrid=False,
        minor={"tickvals": [row - 0.5 for row in range(1, len(tokens))], "showgrid": True, "gridcolor": GRID},
        ticklabelstandoff=6,
    )
    if log:
        figure.update_xaxes(type="log", dtick=1, exponentformat="power")
    else:
        figure.update_xaxes(rangemode="tozero", zerolinecolor=TEXT)
    return figure


def entropy_along(entropy: Mapping[str, Sequence[float]], prompt_tokens: int, title: str) -> go.Figure:
    """Entropy of the next token at each place of a text, an arm a line: the prompt is the same for all, and after
    it, behind the dotted line, each reads what it wrote itself.

    entropy: arm -> a number for each token but the first, nats; prompt_tokens: how many tokens the prompt has.
    """
    figure = base_figure(title, "token of the text", "entropy (nats)")
    for arm, values in entropy.items():
        colour, dash, marker = arm_style(arm, list(entropy))
        figure.add_scatter(
            x=list(range(2, len(values) + 2)), y=list(values), mode="lines+markers", name=arm,
            line={"color": colour, "dash": dash, "width": 1.8}, marker={"symbol": marker, "size": 5},
        )  # fmt: skip
    line = {"color": TEXT, "dash": "dot", "width": 1.5}
    figure.add_vline(x=prompt_tokens + 0.5, line=line, name="end of the prompt", showlegend=True)
    figure.update_yaxes(rangemode="tozero")
    return figure
