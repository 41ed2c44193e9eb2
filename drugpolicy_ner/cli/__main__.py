"""Lets `python -m drugpolicy_ner.cli` run the command."""

from __future__ import annotations

from . import main

main()
