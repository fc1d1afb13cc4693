"""Stands in for the worker: has no end."""

import time

while True:
    time.sleep(60)
