import plotly.graph_objects as go
import plotly.io as pio
import pytest
import torch

from pgce_mini.teaching import notebook

ipywidgets = pytest.importorskip("ipywidgets")


@pytest.mark.parametrize(("value", "chosen"), [(None, "usual"), ("", "usual"), ("0", "usual"), ("1", "long")])
def test_longer_follows_the_environment(value, chosen, monkeypatch):
    if value is None:
        monkeypatch.delenv(notebook.LONG, raising=False)
    else:
        monkeypatch.setenv(notebook.LONG, value)
    assert notebook.longer("usual", "long") == chosen


def test_pictures_are_shown_without_embedding_plotly_and_notebooks_compute_on_one_thread(monkeypatch):
    monkeypatch.setattr(pio.renderers, "default", "json")
    torch.set_num_threads(2)
    try:
        notebook.prepare()
        assert (pio.renderers.default, torch.get_num_threads()) == ("plotly_mimetype", 1)
    finally:
        torch.set_num_threads(1)


def draw(height: float) -> go.Figure:
    return go.Figure(go.Bar(x=[0, 1], y=[1, height]), layout={"title": {"text": f"height {height:g}"}})


def test_sliders_redraw_the_picture_in_place_and_show_the_first_where_no_kernel_runs():
    height = ipywidgets.FloatSlider(value=2, min=0, max=5)
    box = notebook.sliders(draw, height=height)
    shown = box.children[-1]
    assert shown._config == {"responsive": True}  # or it is 700 px wide on any page
    height.value = 4
    assert list(shown.data[0].y) == [1, 4]
    assert shown.layout.title.text == "height 4"
    bundle = box._repr_mimebundle_()
    assert list(bundle["application/vnd.plotly.v1+json"]["data"][0]["y"]) == [1, 2]
    assert "application/vnd.jupyter.widget-view+json" in bundle
