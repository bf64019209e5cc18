"""What the reading side costs, measured on the product's own path. How to run them is in README.md; goals are there too."""
