"""Where content comes from: a site's REST API, a WordPress export file, a folder."""
