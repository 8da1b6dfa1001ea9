"""The page of a readiness run: one HTML file of two parts, decision and evidence, in English or Japanese."""

from maskscope.report.readiness.page import build_readiness_page, write_readiness_page

__all__ = ["build_readiness_page", "write_readiness_page"]
