"""A retailer of any size, known by the files that its systems drop: what the main job is measured on.

``declared`` is its retailer.yaml, ``world`` what happened in it (seeded, vectorised), ``files`` how its systems tell it, up to an
instant or since one, ``making`` puts them in a folder. Nothing is measured here, and no reader is known.
"""
