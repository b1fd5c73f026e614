"""The payment gateway: someone else's system, behind a port."""
