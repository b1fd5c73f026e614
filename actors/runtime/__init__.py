"""Hosts entities: activation, mailboxes, recovery, group commit, timers, sagas. Plain asyncio, no Ray."""
