"""One module a family of cases; each has `CASES`. Libraries are imported inside the way that needs them."""
