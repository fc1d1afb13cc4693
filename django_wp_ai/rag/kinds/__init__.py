"""The kinds of jobs that keep a site's index, one file each."""
