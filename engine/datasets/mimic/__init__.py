"""MIMIC-CXR: its tables, its reports, which image is compared with which, and Libra's files made of them."""
