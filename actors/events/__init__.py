"""What the platform says about itself to others: facts, topics, CloudEvents. Pure."""
