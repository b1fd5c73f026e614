"""Ports to the stores, and their adapters. Stores keep bytes and rows; they never see a domain type."""
