"""The mathematics of scoring: pure numpy and scipy, no files, clock, network or database.

Time is in weeks, counted from a customer's first purchase. Of one customer, x is the number of distinct
purchase days after the first, t_x the time of the last purchase and T the age: the time until now.
"""
