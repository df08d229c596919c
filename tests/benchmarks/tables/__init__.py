"""The tables, one module each: a function of the number of rounds, whole or quickly, which measures it."""
