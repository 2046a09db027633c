"""Pictures of how models read a text: what they expect next, and where in it they are unsure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go

from pgce_mini.figures.frames import base_figure, curve, rows, shifts
from pgce_mini.figures.style import BLUES, INK, TEXT, arm_style
from pgce_mini.tasks.base import EOS_ID, SPECIAL_TOKENS

END = "end"  # for <eos>
ROW, SPREAD = 44, 0.8  # px of a token's row; the part of it that its markers take
LONGEST = 14  # characters of a token on an axis
COLUMNS = 8  # tokens in a line of a text whose tokens are coloured
NARROW = 7  # characters of a token in such a line


def visible(token: str) -> str:
    """A token as one line of plain text: white space as ␣, ↵, ⇥, long tokens cut, markup escaped."""
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
    for shift, (arm, values) in zip(shifts(len(probs), SPREAD), probs.items(), strict=True):
        colour, _, marker = arm_style(arm, list(probs))
        figure.add_scatter(
            x=list(values), y=[row + shift for row in range(len(tokens))], mode="markers", name=arm,
            cliponaxis=False, marker={"color": colour, "symbol": marker, "size": 9},
            customdata=labels, hovertemplate="%{customdata}: %{x:.4f}<extra>" + arm + "</extra>",
        )  # fmt: skip
    figure.update_yaxes(**rows(labels, lines=True))
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
        look = {"symbol": marker, "size": 5}
        figure.add_scatter(**curve(range(2, len(values) + 2), values, arm, colour, dash, 1.8, look))
    line = {"color": TEXT, "dash": "dot", "width": 1.5}
    figure.add_vline(x=prompt_tokens + 0.5, line=line, name="end of the prompt", showlegend=True)
    figure.update_yaxes(rangemode="tozero")
    return figure


def coloured_tokens(tokens: Sequence[str], probs: Sequence[float | None], title: str, rows: int = 0) -> go.Figure:
    """A text in lines of 8 tokens, read as a page: under each token its probability, and the likelier it was, the
    deeper the blue.

    probs: one a token, None where nothing predicts it (a prompt); rows: of the picture at least, so that texts of
    unequal length can follow each other in it.
    """
    rows = max(rows, -(-len(tokens) // COLUMNS))
    figure = base_figure(title, "", "", height=64 + ROW * rows)
    short = [token if len(token) <= NARROW else f"{token[: NARROW - 1]}…" for token in tokens]
    pairs = zip(map(visible, short), probs, strict=True)
    empty = rows * COLUMNS - len(probs)
    shown = [token if prob is None else f"{token}<br>{prob:.2f}" for token, prob in pairs] + [""] * empty
    depth = [prob or 0.0 for prob in probs] + [None] * empty
    figure.add_heatmap(
        x=list(range(COLUMNS)), y=list(range(rows)),
        z=[depth[i : i + COLUMNS] for i in range(0, rows * COLUMNS, COLUMNS)],
        text=[shown[i : i + COLUMNS] for i in range(0, rows * COLUMNS, COLUMNS)],
        texttemplate="%{text}", textfont={"size": 11, "color": INK}, xgap=2, ygap=2, hoverongaps=False,
        hoverinfo="text", colorscale=BLUES, zmin=0, zmax=1, showscale=False,
    )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, range=[rows - 0.5, -0.5])
    figure.update_layout(margin={"l": 4, "r": 4, "b": 8})
    return figure


def attention_map(weights: Sequence[Sequence[float]], tokens: Sequence[str], title: str) -> go.Figure:
    """How much the token of each row reads of the token of each column: (T, T), its rows sum to 1.

    The deeper the blue, the more; what comes later cannot be read, and is empty."""
    figure = base_figure(title, "token read", "token that reads", height=120 + 20 * len(tokens), legend=False)
    labels = [visible(token) for token in tokens]
    places = list(range(len(tokens)))
    figure.add_heatmap(
        x=places, y=places, colorscale=BLUES, zmin=0, zmax=1, hoverongaps=False,
        z=[[w if read <= reader else None for read, w in enumerate(row)] for reader, row in enumerate(weights)],
        xgap=1, ygap=1, text=[[f"{reader} reads {read}" for read in labels] for reader in labels],
        hovertemplate="%{text}: %{z:.2f}<extra></extra>", showscale=False,
    )  # fmt: skip
    bare = {"showgrid": False, "zeroline": False}
    ticks = {"tickvals": places, "ticktext": labels, "tickfont_size": 10} | bare
    figure.update_xaxes(**ticks, tickangle=-90)
    figure.update_yaxes(**ticks, range=[len(tokens) - 0.5, -0.5])
    return figure
