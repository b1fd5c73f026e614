"""What an engineer would write by hand: one short file each, with the same contract as the platform's orders."""
