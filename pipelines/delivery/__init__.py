"""What sales receives: the page and the CSV of a night, published together or not at all."""
