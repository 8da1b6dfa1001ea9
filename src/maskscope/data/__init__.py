"""Readers and writers of video and data sets, one per format, and clips with known ground truth."""
