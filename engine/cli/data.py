"""Data sets: made, checked, split and converted."""

from __future__ import annotations

import argparse

from engine.cli import (
    _data_captions,
    _data_checks,
    _data_convert,
    _data_ct_phantoms,
    _data_mimic,
    _data_phantoms,
    _data_signed,
    _data_vqa,
    _data_vqa_rad,
)

SUBCOMMANDS = (
    _data_captions,
    _data_checks,
    _data_convert,
    _data_ct_phantoms,
    _data_mimic,
    _data_phantoms,
    _data_signed,
    _data_vqa,
    _data_vqa_rad,
)
"""Each declares its subcommand with ``register`` and names the function that runs it as ``run_data``."""


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    for module in SUBCOMMANDS:
        module.register(commands)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; the exit status."""
    return int(args.run_data(args))
