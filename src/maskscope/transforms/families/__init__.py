"""One file a family; each has a table of severities with units and a `plan`."""
