"""Series as data: recordings and sets of sequences, their windows, and the numbers that a network sees."""
