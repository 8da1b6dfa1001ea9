"""`maskscope readiness`: a clip as it is, made worse, played on and occluded, measured and judged."""
