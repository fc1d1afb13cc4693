"""Settings of clusters under test: the suite's, with a host's kinds and whichever broker the test wants."""

import json
import os

from tests.settings import *  # noqa: F403 - a settings module takes all of its base
from tests.settings import INSTALLED_APPS as BASE_APPS
from tests.settings import Q_CLUSTER as BASE_CLUSTER

INSTALLED_APPS = [*BASE_APPS, "tests.load.site"]
Q_CLUSTER = {**BASE_CLUSTER, "max_attempts": 3, **json.loads(os.environ.get("TEST_Q_CLUSTER", "{}"))}
