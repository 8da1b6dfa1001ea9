"""What is remembered of each object, and who decides it: state without weights."""
