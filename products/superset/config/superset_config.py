"""For trying and testing. Mount a file of your own here, or name it in SUPERSET_CONFIG_PATH."""

import os
from pathlib import Path

_secret = Path(os.environ["SUPERSET_HOME"], "secret_key")
# SUPERSET_SECRET_KEY comes first; else superset-server makes a key at its first start.
SECRET_KEY = os.environ.get("SUPERSET_SECRET_KEY") or (_secret.read_text().strip() if _secret.exists() else "")
