"""The kinds of jobs that come with the app, one file each."""
