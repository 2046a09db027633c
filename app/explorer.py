"""The explorer: `pgce explore`, or `streamlit run app/explorer.py`. Each page is a file of views/."""

import gc

import streamlit as st
import torch

import pgce_mini.figures  # noqa: F401, before the freeze
import story
from presenting import tools
from shell import STYLE, source
from steps import CLASS, PAGES, SECTIONS

# Streamlit collects garbage after every run. The libraries' million objects are never garbage, and looking through
# them each time would take longer than the rest of a run.
if not gc.get_freeze_count():
    gc.freeze()

SHOWN = PAGES | {"class": CLASS}
MENU = {
    section: [
        st.Page(
            f"views/{SHOWN[path].file}.py", title=SHOWN[path].title, url_path=path, default=path == "one-token"
        )
        for path in paths
    ]
    for section, paths in SECTIONS.items()
}
# Prefixes of what the session keeps when the page changes.
KEPT = ("playground", "quiz", "class_visitor", "class_code")

torch.set_num_threads(1)  # every visitor has a thread already; more for one tiny model only wait for each other
st.set_page_config(page_title="pgce_mini explorer", layout="wide", initial_sidebar_state=240)
st.html(STYLE)
page = st.navigation(MENU, position="hidden")  # its own menu is no list that a screen reader can follow
with st.sidebar:
    for section, pages in MENU.items():
        st.markdown(f"**{section}**")
        for entry in pages:
            st.page_link(entry)
    st.html(f"<script>{source('history.js')}{source('touch.js')}</script>", unsafe_allow_javascript=True)

# Streamlit passes a control's value to the control of that key on the next page, where β may have another range.
# Here a page starts from its address alone.
if st.session_state.get("page") != page.url_path:
    for name in [str(name) for name in st.session_state if not str(name).startswith(KEPT)]:
        del st.session_state[name]
    st.session_state.page = page.url_path
    st.session_state.page_title = page.title
if st.context.is_embedded:  # a frame in somebody's page shows this page alone
    st.html("<style>.stSidebar, .stAppHeader, .st-key-pgce_tools {display: none !important}</style>")
tools(page.url_path)
story.bar()
page.run()
