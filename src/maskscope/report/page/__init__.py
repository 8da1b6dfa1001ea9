"""The page of a diagnosis: one HTML file, made from records and pictures alone."""
