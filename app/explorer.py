"""The explorer: `pgce explore`, or `streamlit run app/explorer.py`. Each page is a file of views/."""

import gc

import streamlit as st
import torch

import pgce_mini.figures  # noqa: F401, before the freeze
import story
from presenting import tools
from shell import STYLE, source

# Streamlit collects garbage after every run. The libraries' million objects are never garbage, and looking through
# them each time would take longer than the rest of a run.
if not gc.get_freeze_count():
    gc.freeze()

PAGES = {
    "One state": [
        st.Page("views/one_token.py", title="One token", default=True),
        st.Page("views/policy_gradient.py", title="CE is a policy gradient", url_path="policy-gradient"),
        st.Page("views/hidden_rewards.py", title="Hidden rewards", url_path="hidden-rewards"),
        st.Page("views/simplex.py", title="Three tokens", url_path="simplex"),
        st.Page("views/where_training_ends.py", title="Where training ends", url_path="where-training-ends"),
    ],
    "Trained models": [
        st.Page("views/tiny_gpts.py", title="Tiny GPTs side by side", url_path="tiny-gpts"),
        st.Page("views/trained_beta.py", title="β over trained priors", url_path="trained-beta"),
        st.Page("views/trap_game.py", title="The trap", url_path="trap-game"),
        st.Page("views/grpo_step.py", title="One GRPO step", url_path="grpo-step"),
        st.Page("views/train_live.py", title="Train live", url_path="train-live"),
        st.Page("views/diversity_or_precision.py", title="Diversity or precision?", url_path="results"),
    ],
    "Classroom": [
        st.Page("views/teach.py", title="Teach", url_path="teach"),
        st.Page("views/classroom.py", title="Class", url_path="class"),
    ],
}
# Prefixes of what the session keeps when the page changes.
KEPT = ("playground", "quiz", "class_visitor", "class_code")

torch.set_num_threads(1)  # every visitor has a thread already; more for one tiny model only wait for each other
st.set_page_config(page_title="pgce_mini explorer", layout="wide", initial_sidebar_state=240)
st.html(STYLE)
page = st.navigation(PAGES, position="hidden")  # its own menu is no list that a screen reader can follow
with st.sidebar:
    for section, pages in PAGES.items():
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
