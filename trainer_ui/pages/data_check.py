"""What is wrong with a data file: a table of every row, with its kinds counted, to be filtered and taken away."""

from __future__ import annotations

import streamlit as st

from trainer_ui import errors
from trainer_ui.components import checked, jobs_panel, set_link
from trainer_ui.components.numbers import counted
from trainer_ui.components.words import literal
from trainer_ui.services import check_results
from trainer_ui.services.check_results import Issue, Result
from trainer_ui.services.opened_set import Opened

MOST_LISTED = 2000
"""Issues that are sent to the browser at once; the file to be downloaded holds all."""

SEVERITIES = {"error": "Errors", "warning": "Warnings"}
TABLE_HEIGHT = 420


def show(one: Opened) -> None:
    """The part of the page."""
    st.markdown(
        "An **error** is a row that cannot be used, and with it the whole file. A **warning** is a row that can be "
        "used, and probably should not."
    )
    found = checked.result(one)
    if found is not None:
        _shown(one, found)
        _again(one, found)


def _again(one: Opened, found: Result) -> None:
    depth = "every pixel was read" if found.decoded else "of image files, heads and ends were read"
    st.caption(
        f"{counted(found.rows, 'row')} and {counted(found.images, 'image')} checked; {depth}. Images are looked for "
        f"below {literal(str(one.images))}"
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Check again", key="check-again", help="After images were moved or exchanged."):
            _recheck(one, pixels=False)
        if not found.decoded and st.button(
            "Read every pixel", key="check-pixels", help="Finds images that are damaged inside. Takes longer."
        ):
            _recheck(one, pixels=True)


def _recheck(one: Opened, *, pixels: bool) -> None:
    with errors.shown():
        check_results.forget(one)
        if not check_results.small(one) or (pixels and one.file.rows > check_results.PIXELS_AT_ONCE):
            jobs_panel.open_job(check_results.begin(one, pixels=pixels).id)
        else:
            with st.spinner("Checking"):
                check_results.now(one, pixels=pixels)
        st.rerun()


def _shown(one: Opened, found: Result) -> None:
    if not found.issues:
        st.success("Nothing is wrong with this file.")
        return
    rows = len({issue.row for issue in found.issues if issue.severity == "error"})
    if found.errors:
        st.error(
            f"{counted(found.errors, 'error')} in {counted(rows, 'row')}: training and evaluation refuse this file."
        )
    else:
        st.success(f"No error: the file can be used. {counted(found.warnings, 'warning')} to look at.")
    issues = _filtered(found)
    _table(one, issues)
    st.download_button(
        f"Download {counted(len(issues), 'line')} as CSV",
        check_results.as_csv(issues).encode(),
        file_name=f"{one.file.path.stem}-check.csv",
        mime="text/csv",
        key="check-csv",
    )


def _filtered(found: Result) -> tuple[Issue, ...]:
    """The kinds with their counts, by which the table is filtered."""
    chosen: list[str] = []
    for severity, title in SEVERITIES.items():
        labels = {kind: f"{literal(words)} **{count:,}**" for kind, words, of, count in found.kinds if of == severity}
        if labels:
            chosen += st.pills(
                title,
                list(labels),
                selection_mode="multi",
                format_func=labels.__getitem__,
                key=f"check-{severity}",
                wrap=True,
            )
    text = st.text_input("Search ids and reasons", key="check-text", type="search", autocomplete="off")
    return check_results.chosen(found, kinds=chosen, text=text)


def _table(one: Opened, issues: tuple[Issue, ...]) -> None:
    if not issues:
        st.caption("No line fits.")
        return
    some = issues[:MOST_LISTED]
    line = st.container(horizontal=True, vertical_alignment="center")
    chosen = st.dataframe(
        {
            "Row": [issue.row or None for issue in some],
            "Id": [issue.id for issue in some],
            "Severity": [issue.severity for issue in some],
            "Kind": [issue.words for issue in some],
            "Reason": [issue.reason for issue in some],
        },
        hide_index=True,
        height=TABLE_HEIGHT if len(some) > 10 else "content",
        column_config={
            "Row": st.column_config.NumberColumn(width=60, format="%d"),
            "Id": st.column_config.TextColumn(width=130),
            "Severity": st.column_config.TextColumn(width=70),
        },
        placeholder="file",
        on_select="rerun",
        selection_mode="single-row",
        key=f"check-table-{hash(some)}",  # what was chosen in another table is not chosen in this one
    )
    if len(issues) > len(some):
        st.caption(f"The first {len(some):,} of {len(issues):,} lines. The download holds all.")
    picked = [some[place] for place in chosen["selection"]["rows"] if place < len(some)]
    with line:
        for issue in picked:
            st.markdown(f"**{literal(issue.words)}**: {literal(issue.reason)}", width="content")
            if issue.row:
                label = f"Look at row {issue.row}"
                set_link.show(label, one.data.name, one.file.path.name, "Look", row=str(issue.row))
        if not picked:
            st.caption("Choose a line to read all of it and to look at its row.")
