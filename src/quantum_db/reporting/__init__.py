"""Reports that people look at: self-contained HTML pages and the charts in them.

`page` assembles a document, `charts` gives SVG text, `plots` gives the matplotlib figures behind them (and PNG).
Nothing is imported here, so that a stage which writes only tables never loads matplotlib.
"""
