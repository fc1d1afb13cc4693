"""The example project: a host that adds django_wp_ai to an ordinary Django site."""

#: Where the host mounts the API.
MOUNT = "wp-ai/"
