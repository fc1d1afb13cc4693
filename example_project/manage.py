#!/usr/bin/env python
"""Runs the example project's commands; ``manage.py demo`` needs no configuration at all."""

import os
import sys

from demo.launcher.running import join_running_demo


def main() -> None:
    """Choose the settings and run the command."""
    if sys.argv[1:2] == ["demo"]:
        # The launcher starts the services that the real settings need, so it runs without them.
        os.environ["DJANGO_SETTINGS_MODULE"] = "demo.launcher.settings"
    else:
        # Assigned, not defaulted: a shell or a test runner may have exported another project's module.
        os.environ["DJANGO_SETTINGS_MODULE"] = "example.settings"
        join_running_demo()
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit('Django is missing. Run: pip install -e ".[demo]"') from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
