"""A retailer in a box: a seeded world, its files and its shops, and the truth about every defect planted in it.

Nothing here imports the pipeline: the sandbox knows the canonical words (`resources.contracts`) and the file formats, no more.
"""
