"""What there is to see of a movement: pictures, a magnified loop, words. Without Qt, for the window and for reports."""
