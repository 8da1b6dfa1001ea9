"""Exact measures of video object segmentation."""
