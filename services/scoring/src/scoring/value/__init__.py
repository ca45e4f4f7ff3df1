"""What a customer is worth, and what losing them costs, as of the moment of reading."""
