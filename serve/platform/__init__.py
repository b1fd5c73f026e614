"""What the CLI does with one platform on this machine: start it, find it, ask it, stop it."""
