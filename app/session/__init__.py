"""What is kept of an analysis: written as it goes, read back, reviewed by people, deleted."""
