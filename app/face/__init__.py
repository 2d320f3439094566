"""From a frame to a registered face crop. All that the training package may import from `app`."""
