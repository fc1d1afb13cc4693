"""Messages to sites: written with what they tell of, delivered until they arrive or are given up."""
