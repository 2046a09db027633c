"""The explorer: `pgce explore`, or `streamlit run app/explorer.py`. Each page is a file of views/."""

import streamlit as st

# Charts write in the colour of the page: no grey has the contrast of 4.5 (WCAG AA) on both light and dark.
CHART_TEXT = "<style>.js-plotly-plot :is(.cartesianlayer, .infolayer) text {fill: currentColor !important}</style>"

st.set_page_config(page_title="pgce_mini explorer", layout="wide")
st.html(CHART_TEXT)
st.navigation([st.Page("views/one_token.py", title="One token", default=True)]).run()
