"""What Streamlit runs for every event: the frame of the studio around one of its pages."""

import streamlit as st

st.set_page_config(page_title="Interval studio", layout="wide")
st.title("Hello")
st.text_input("x")
st.line_chart([1, 2, 3])
st.dataframe({"a": [1, 2]})
st.code("x")
