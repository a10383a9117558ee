"""Real data: sources, cleaning, splitting, preprocessing, and datasets on disk.

The way of a table of measurements through this package: `sources.load_source` reads it into a `RawDataset`,
`cleaning.clean` refuses or drops bad rows, `splitting.stratified_split` divides it, `preprocessing.fit_preprocessing`
learns the scaling from the training rows alone, and `dataset.Dataset` keeps the outcome in a directory.
"""
