"""Rebuild the pipeline that ships in drugpolicy_ner/model: the same as the command `drugpolicy-ner retrain`.

python training/retrain.py                  # train, then assemble (needs the packages of the extra "train")
python training/retrain.py --assemble-only  # keep the weights; names, forms, ranks and action classes are new
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from drugpolicy_ner.cli import app

app(["retrain", *sys.argv[1:]])
