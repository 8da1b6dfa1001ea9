"""One file for each kind of measure; each says what it means, its range, and what it cannot tell."""
