"""Video transformations that keep masks true: six families, five severities, one contract (`base`)."""
