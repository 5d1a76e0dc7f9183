"""What the studio can do, without its screen: no module here knows Streamlit. They take and return dataclasses."""
