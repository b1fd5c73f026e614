"""Pure rules of carts, stock, orders and payments. No I/O, no clock, no chance: all three come in as arguments."""
